import Descent
import DescentDistributed
import DistributedScenarios
import Testing

/// That costs reckoned are those counted.
@Suite struct ExchangeCostTests {
    /// How many bytes a rank sends in a step, whatever its first step had to do besides.
    private static func sentBytes(
        _ world: ProcessGroup, _ layout: ParameterLayout, _ type: ElementType, _ bucketLength: Int,
        movingAs movingType: ElementType?
    ) throws -> Int {
        var parameters = TensorSet(zeros: layout)
        let gradients = TensorSet(zeros: layout, type)
        var pipeline = try Pipeline(for: parameters, on: SIMDBackend(threads: 1)) {
            AllReduce(over: world, bucketLength: bucketLength, movingAs: movingType)
        } driving: {
            SGD(learningRate: 1)
        }
        var sent = 0
        for _ in 0..<2 {
            sent = world.sentByteCount
            _ = try pipeline.step(&parameters, gradients: gradients)
        }
        return world.sentByteCount - sent
    }

    private static let layout = try? ParameterLayout([
        ParameterDescription("weight", shape: [37, 51]), ParameterDescription("bias", shape: [37]),
    ])

    @Test(arguments: 1...4, [7, 256, 10_000])
    func `ranks send what was reckoned`(ranks: Int, bucketLength: Int) throws {
        let layout = try #require(Self.layout)
        let types: [(ElementType, ElementType?)] = [
            (.float32, nil), (.bfloat16, nil), (.float32, .bfloat16), (.float16, .float16),
        ]
        for (gradientType, movingType) in types {
            let sent = try ThreadJob.run(ranks: ranks) { world in
                try Self.sentBytes(world, layout, gradientType, bucketLength, movingAs: movingType)
            }.map { try $0.get() }
            let costs = ExchangeCosts(
                elementCount: layout.elementCount, rankCount: ranks, bucketLength: bucketLength,
                gradientType: gradientType, movingAs: movingType)
            #expect(sent == Array(repeating: costs.sentBytes + costs.announcedBytes, count: ranks))
        }
    }

    @Test(arguments: [1, 2, 8, 64, 512])
    func `a rank among others that do as it does sends what was reckoned for so many`(ranks: Int) throws {
        let layout = try #require(Self.layout)
        let world = try ProcessGroup(over: EchoCommunicator(rank: ranks / 2, among: ranks))
        let costs = ExchangeCosts(elementCount: layout.elementCount, rankCount: ranks, bucketLength: 1_000)
        #expect(
            try Self.sentBytes(world, layout, .float32, 1_000, movingAs: nil) == costs.sentBytes + costs.announcedBytes)
    }

    @Test func `buckets that can be divided evenly are the fewest bytes`() {
        for ranks in [1, 2, 4, 512] {
            let costs = ExchangeCosts(elementCount: 1 << 24, rankCount: ranks, bucketLength: 1 << 18)
            #expect(costs.sentBytes == costs.leastBytes)
            #expect(costs.leastBytes == 8 * ((1 << 24) / ranks) * (ranks - 1))
        }
        let uneven = ExchangeCosts(elementCount: 10, rankCount: 4, bucketLength: 5)
        #expect(uneven.leastBytes == 60)
        #expect(uneven.sentBytes == 2 * 2 * 3 * 8)
        let alone = ExchangeCosts(elementCount: 10, rankCount: 1)
        #expect((alone.sentBytes, alone.announcedBytes, alone.bufferBytes) == (0, 0, 0))
        #expect(alone.seconds(over: LinkSpeed(latency: 1, bandwidth: 1)) == 0)
    }
}
