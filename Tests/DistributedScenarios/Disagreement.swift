import Descent
import DescentDistributed
import Foundation

extension Scenario {
    /// What the last rank has otherwise than the others is named, with the rank, on all of them.
    static func otherSettings(_ world: ProcessGroup) throws {
        let last = world.rankCount - 1
        let isLast = world.rank == last && last > 0
        let cases: [(stages: [any Stage], optimizer: any Optimizer, nonFinite: NonFinitePolicy, String)] = [
            (
                [ClipByGlobalNorm(isLast ? 2 : 1)], SGD(learningRate: 1), .skip,
                "rank \(last)'s ClipByGlobalNorm(2.0) differs from rank 0's ClipByGlobalNorm(1.0)"
            ),
            (
                isLast ? [Centralize()] : [], SGD(learningRate: 1), .skip, "rank \(last)'s Centralize differs from"
            ),
            ([], SGD(learningRate: 1, momentum: isLast ? 0.8 : 0.9), .skip, "rank \(last)'s SGD has momentum = 0.8"),
            ([], AdamW(learningRate: 1, epsilon: isLast ? 1e-7 : 1e-8), .skip, "rank \(last)'s AdamW has "),
            (
                [], SGD(learningRate: .warmupCosine(peak: 1, warmup: isLast ? 2 : 3, total: 9)), .skip,
                "rank \(last)'s SGD has learningRate"
            ),
            (
                [], isLast ? AdamW(learningRate: 1) : SGD(learningRate: 1), .skip,
                "rank \(last)'s AdamW differs from rank 0's SGD"
            ),
            (
                [], SGD(learningRate: 1), isLast ? .skipAtMost(3) : .skip,
                "rank \(last)'s nonFinite policy has skipAtMost = 3, rank 0's skip"
            ),
            (
                [], SGD(learningRate: 1, groups: isLast ? [.vectorsWithoutDecay] : []), .skip,
                "rank \(last)'s SGD has groups"
            ),
        ]
        let parameters = try TensorSet([ParameterDescription("weight", shape: [3, 4])])
        for (stages, optimizer, nonFinite, phrase) in cases {
            for arrangement in Arrangement.allCases {
                try expect(.processMismatch, phrase, world) {
                    _ = try arrangement.pipeline(
                        for: parameters, over: world, configuration: .init(nonFinite: nonFinite), stages,
                        driving: optimizer)
                }
            }
        }
    }

    /// Ranks whose first parameters differ throw at the first step, and train once these have been broadcast.
    static func otherParameters(_ world: ProcessGroup) throws {
        let gradients = try TensorSet([
            ParameterDescription("bias", shape: [3]), ParameterDescription("weight", shape: [3, 4]),
        ])
        for arrangement in Arrangement.allCases {
            var parameters = gradients
            parameters["weight"] = (0..<12).map { $0 == 11 ? Float(world.rank) : 1 }
            var pipeline = try arrangement.pipeline(for: parameters, over: world, driving: SGD(learningRate: 1))
            func step() throws { _ = try pipeline.step(&parameters, gradients: gradients) }
            try expect(.processMismatch, "rank 1 differ from rank 0's, \"weight\" first", world) { try step() }
            try world.broadcast(&parameters)
            for _ in 0..<3 { try step() }
        }
    }

    /// Sharding refuses what it has nothing to do with, and what would exchange gradients a second time.
    static func unshardable(_ world: ProcessGroup) throws {
        let parameters = try TensorSet([ParameterDescription("weight", shape: [3, 4])])
        let configuration = PipelineConfiguration(sharding: .optimizerState(over: world))
        try expect(.invalidSetting, "AllReduce", world, whereAlone: true) {
            _ = try Pipeline(for: parameters, configuration: configuration) {
                AllReduce(over: world)
            } driving: {
                SGD(learningRate: 1)
            }
        }
        try expect(.invalidSetting, "sharding is for a Pipeline", world, whereAlone: true) {
            _ = try Chain(for: parameters.layout, configuration: configuration) { ClipByGlobalNorm(1) }
        }
        try expect(.invalidSetting, "bucketLength is 0", world, whereAlone: true) {
            _ = try Pipeline(
                for: parameters,
                configuration: .init(sharding: .optimizerState(over: world, bucketLength: 0))
            ) {
            } driving: {
                SGD(learningRate: 1)
            }
        }
    }

    /// Throws unless the body throws an error of a code that contains a phrase; on a single rank, whether or not it does.
    static func expect(
        _ code: DescentError.Code, _ phrase: String, _ world: ProcessGroup, whereAlone: Bool = false,
        _ body: () throws -> Void
    ) throws {
        do { try body() } catch let error as DescentError {
            guard error.code == code, phrase.isEmpty || error.description.contains(phrase) else {
                throw Failure("rank \(world.rank): \(error) instead of \(code) with \"\(phrase)\"")
            }
            return
        }
        if world.rankCount > 1 || whereAlone { throw Failure("rank \(world.rank) did not notice: \(phrase)") }
    }
}
