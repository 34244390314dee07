import Descent
import DistributedScenarios
import Testing

@testable import DescentDistributed

/// How fast a link is found to be, and what length of buckets it asks for.
@Suite struct LinkSpeedTests {
    @Test(arguments: [0, 1e-5, 2e-3], [1e6, 1e9])
    func `latency and bandwidth are those of the line through two transfers`(latency: Double, bandwidth: Double) {
        func seconds(_ bytes: Int) -> Double { latency + Double(bytes) / bandwidth }
        let link = LinkSpeed(short: (2_048, seconds(2_048)), long: (1 << 24, seconds(1 << 24)))
        #expect(abs(link.latency - latency) <= 1e-9)
        #expect(abs(link.bandwidth / bandwidth - 1) <= 1e-6)
    }

    @Test(arguments: [(100, 1.0, 5_000, 0.5), (100, 0.0, 5_000, 0.0), (0, 1.0, 0, 1.0)])
    func `numbers that no line goes through give a link that can be reckoned with`(
        _ case: (Int, Double, Int, Double)
    ) {
        let link = LinkSpeed(short: (`case`.0, `case`.1), long: (`case`.2, `case`.3))
        #expect(link.latency >= 0 && link.latency.isFinite)
        #expect(link.bandwidth > 0 && link.bandwidth.isFinite)
        let length = link.bucketLength(of: 1 << 30, movingAs: 4, among: 2)
        #expect(LinkSpeed.bucketLengths.contains(length))
    }

    @Test(arguments: [2, 3, 64], [2, 4])
    func `buckets are the shortest power of two with which bytes take nine tenths of the time`(
        ranks: Int, byteCount: Int
    ) {
        for latency in [1e-6, 1e-4, 3e-4, 1e-3] {
            let link = LinkSpeed(latency: latency, bandwidth: 1e9)
            let length = link.bucketLength(of: 1 << 40, movingAs: byteCount, among: ranks)
            #expect(length.nonzeroBitCount == 1)
            func share(_ length: Int) -> Double {
                let seconds = Double(length * byteCount) * Double(ranks - 1) / Double(ranks) / link.bandwidth
                return seconds / (latency + seconds)
            }
            #expect(share(length) >= 0.9 || length == LinkSpeed.bucketLengths.upperBound)
            #expect(share(length / 2) < 0.9 || length == LinkSpeed.bucketLengths.lowerBound)
        }
    }

    @Test func `at least eight buckets are on their way where none has to be shorter than the shortest`() {
        let slow = LinkSpeed(latency: 1, bandwidth: 1e9)
        #expect(slow.bucketLength(of: 8 << 20, movingAs: 4, among: 2) == 1 << 20)
        #expect(slow.bucketLength(of: 1 << 16, movingAs: 4, among: 2) == 1 << 16)
        #expect(slow.bucketLength(of: 0, movingAs: 4, among: 2) == 1 << 16)
    }

    /// What a group of ranks makes of a link between them: the length of each rank's buckets, in two pipelines.
    private func lengths(_ link: LinkSpeed, ranks: Int) throws -> [[Int]] {
        var faults = Faults.none
        faults.link = link
        return try ThreadJob.run(ranks: ranks, faults: faults) { world in
            let layout = try ParameterLayout([ParameterDescription("weight", shape: [1_024, 2_048])])
            func length() throws -> Int {
                var stage = AllReduce(over: world)
                try stage.configure(for: layout)
                try #require(stage.bucketLength == nil)
                try stage.connect([0], of: layout, as: PipelineSetup([]))
                let length = try #require(stage.bucketLength)
                #expect(stage.name == "AllReduce(mean, ranks: \(ranks), bucketLength: \(length))")
                return length
            }
            let first = try length()
            let (speed, sent) = (world.linkSpeed, world.sentByteCount)
            let second = try length()
            #expect(speed != nil && world.linkSpeed == speed, "a group measures once")
            #expect(world.sentByteCount - sent < 10_000)
            return [first, second]
        }.map { try $0.get() }
    }

    @Test(arguments: 2...3) func `all ranks choose the same length, and measure once`(ranks: Int) throws {
        let lengths = try lengths(LinkSpeed(latency: 0.002, bandwidth: 2e7), ranks: ranks)
        #expect(Set(lengths.joined()).count == 1)
        #expect(lengths.joined().allSatisfy(LinkSpeed.bucketLengths.contains))
    }

    @Test(arguments: 2...3) func `slow links have longer buckets, and the slowest rank's times count`(ranks: Int) throws
    {
        func lengths(latency: Double) throws -> [Int] {
            try ThreadJob.run(ranks: ranks) { world in
                let link = try world.measuredLink { bytes in
                    (latency + Double(bytes / ranks * (ranks - 1)) / 2e6) / Double(world.rank + 1)
                }
                return link.bucketLength(of: 1 << 21, movingAs: 4, among: ranks)
            }.map { try $0.get() }
        }
        #expect(try lengths(latency: 0) == Array(repeating: 1 << 16, count: ranks))
        #expect(try lengths(latency: 0.06) == Array(repeating: 1 << 18, count: ranks))
    }

    @Test func `small models have the shortest buckets, for which nothing is measured`() throws {
        let results = ThreadJob.run(ranks: 2) { world in
            let length = try world.bucketLength(of: (1 << 20) - 1, movingAs: 4)
            return (length, world.linkSpeed == nil && world.sentByteCount == 0)
        }
        for result in results {
            #expect(try result.get() == (1 << 16, true))
        }
    }

    @Test(arguments: 0..<60)
    func `whatever goes wrong while ranks measure, each has the same speed or an error in time`(seed: Int) throws {
        let faults = Faults(seed: UInt64(seed), ranks: 3, calls: 25)
        let limit = Duration.milliseconds(faults.isHarmless ? 60_000 : 25)
        let results = ThreadJob.run(ranks: 3, timeLimit: limit, faults: faults) { world in
            let speed = try world.measuredLink()
            try world.barrier()
            return speed
        }
        var speeds = Set<LinkSpeed>()
        for result in results {
            switch result {
            case .success(let speed): speeds.insert(speed)
            case .failure(let error):
                #expect(!faults.isHarmless, "seed \(seed): \(error)")
                let code = (error as? DescentError)?.code.description ?? ""
                #expect(["processTimeout", "processFailure", "death"].contains(code), "seed \(seed): \(error)")
            }
        }
        #expect(speeds.count <= 1, "seed \(seed): \(speeds)")
    }
}
