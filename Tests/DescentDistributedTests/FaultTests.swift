import Descent
import DescentDistributed
import DistributedScenarios
import Foundation
import SeededNumbers
import Testing

/// What becomes of ranks between which messages are late or lost, and of which some die.
@Suite struct FaultTests {
    /// How the ranks train.
    enum Training: CaseIterable {
        case whole, accumulated, streamed, inSixteenBits, sharded
    }

    private static let stepCount = 4

    @Test(.timeLimit(.minutes(5)), arguments: 0..<20)
    func `each rank gets the right result or an error, and no two go on from different bits`(group: Int) throws {
        var undisturbed: [[Int]: [UInt64]] = [:]
        for seed in group * 25..<(group + 1) * 25 {
            let (ranks, index) = (2 + seed % 3, seed / 3 % Training.allCases.count)
            let training = Training.allCases[index]
            let expected = undisturbed[[ranks, index]] ?? Self.run(training, ranks, .none).logs[0]
            undisturbed[[ranks, index]] = expected
            #expect(expected.count == Self.stepCount)
            let faults = Faults(seed: UInt64(seed), ranks: ranks, calls: 60)
            let (results, logs) = Self.run(training, ranks, faults)
            for (rank, result) in results.enumerated() {
                let comment: Comment = "seed \(seed), rank \(rank) of \(ranks), \(training), \(faults)"
                #expect(logs[rank] == Array(expected.prefix(logs[rank].count)), comment)
                switch result {
                case .success: #expect(logs[rank].count == Self.stepCount, comment)
                case .failure(let error):
                    #expect(!faults.isHarmless, comment)
                    let code = (error as? DescentError)?.code.description
                    #expect(["processTimeout", "death"].contains(code), "\(comment): \(error)")
                }
            }
        }
    }

    @Test(arguments: 2...4)
    func `ranks that wait for a dead one throw once the limit is over`(ranks: Int) throws {
        var faults = Faults.none
        faults.death = (ranks - 1, 40)
        let limit = Duration.milliseconds(50)
        let start = ContinuousClock.now
        let (results, _) = Self.run(.whole, ranks, faults, limit)
        #expect(ContinuousClock.now - start > limit)
        for result in results.dropLast() {
            let error = try #require(throws: DescentError.self) { try result.get() }
            #expect(error.code == .processTimeout)
            #expect(error.message.contains("has waited for other ranks for \(limit)"))
        }
    }

    // MARK: Training

    /// What each rank's parameters were after each step.
    private final class Log: @unchecked Sendable {
        // Unchecked because the lock guards what it holds.
        private let lock = NSLock()
        private var digests: [[UInt64]]

        init(ranks: Int) { digests = Array(repeating: [], count: ranks) }

        func note(_ parameters: TensorSet, of rank: Int) {
            var digest: UInt64 = 0xcbf2_9ce4_8422_2325
            for parameter in parameters.layout {
                for value in parameters[parameter.name] {
                    digest = (digest ^ UInt64(value.bitPattern)) &* 0x100_0000_01b3
                }
            }
            lock.withLock { digests[rank].append(digest) }
        }

        var ofRanks: [[UInt64]] { lock.withLock { digests } }
    }

    /// Trains as some ranks with faults between them.
    private static func run(
        _ training: Training, _ ranks: Int, _ faults: Faults, _ limit: Duration? = nil
    ) -> (results: [Result<Bool, any Error>], logs: [[UInt64]]) {
        let log = Log(ranks: ranks)
        let timeLimit = limit ?? (faults.isHarmless ? .seconds(60) : .milliseconds(25))
        let results = ThreadJob.run(ranks: ranks, timeLimit: timeLimit, faults: faults) { world in
            try train(training, world) { log.note($0, of: world.rank) }
            return true
        }
        return (results, log.ofRanks)
    }

    private static func train(
        _ training: Training, _ world: ProcessGroup, _ note: (TensorSet) -> Void
    ) throws {
        let layout = try ParameterLayout([
            ParameterDescription("weight", shape: [9, 5]), ParameterDescription("bias", shape: [7]),
        ])
        var parameters = random(layout, seed: world.rank)
        try world.broadcast(&parameters)
        let backend = SIMDBackend(threads: 1)
        var pipeline = try Pipeline(for: parameters, on: backend) {
            if training == .accumulated { Accumulate(steps: 2) }
            AllReduce(over: world, bucketLength: 20, movingAs: training == .inSixteenBits ? .bfloat16 : nil)
            ClipByGlobalNorm(1)
        } driving: {
            AdamW(learningRate: 0.01)
        }
        var sharded = try Pipeline(
            for: parameters, configuration: .init(sharding: .optimizerState(over: world, bucketLength: 20)), on: backend
        ) {
            ClipByGlobalNorm(1)
        } driving: {
            AdamW(learningRate: 0.01)
        }
        for step in 0..<stepCount {
            let gradients = random(layout, seed: 10 * step + world.rank + 5)
            switch training {
            case .streamed:
                for parameter in layout.indices.reversed() { try pipeline.receive(gradients, of: parameter) }
                _ = try pipeline.step(&parameters)
            case .sharded: _ = try sharded.step(&parameters, gradients: gradients)
            case .whole, .inSixteenBits: _ = try pipeline.step(&parameters, gradients: gradients)
            case .accumulated:
                for _ in 0..<2 { _ = try pipeline.step(&parameters, gradients: gradients) }
            }
            note(parameters)
        }
    }

    private static func random(_ layout: ParameterLayout, seed: Int) -> TensorSet {
        var tensors = TensorSet(zeros: layout)
        var generator = SeededGenerator(seed: UInt64(seed))
        for parameter in layout { tensors[parameter.name] = (0..<parameter.count).map { _ in generator.normal() } }
        return tensors
    }
}
