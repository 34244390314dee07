import Descent
import DescentDistributed

/// One rank's error is every rank's, before anything has changed on any of them.
extension Scenario {
    /// A pipeline of which each window has two micro-batches, and what it has trained.
    private struct Trainee {
        let world: ProcessGroup
        var parameters: TensorSet
        var pipeline: Pipeline

        init(_ arrangement: Arrangement, _ world: ProcessGroup, _ stage: any Stage = Scale(by: 1)) throws {
            self.world = world
            parameters = .random(try ParameterLayout.mixed(), seed: 3)
            pipeline = try arrangement.pipeline(
                for: parameters, over: world, bucketLength: 60, accumulating: Accumulate(steps: 2),
                [stage, ClipByGlobalNorm(1)],
                driving: AdamW(learningRate: .reduceOnPlateau(initial: 0.01, patience: 0)))
        }

        func gradients(_ seed: Int) -> TensorSet { .random(parameters.layout, seed: 100 * seed + world.rank) }

        mutating func step(_ gradients: TensorSet, weight: Double = 1, lossScale: Float? = nil) throws {
            _ = try pipeline.step(&parameters, gradients: gradients, weight: weight, lossScale: lossScale)
        }

        /// Takes both micro-batches of a window.
        mutating func stepTwice(_ seed: Int) throws {
            for microBatch in 0..<2 { try step(gradients(2 * seed + microBatch)) }
        }
    }

    /// An argument that one rank's pipeline refuses is an error on all, after which all go on with the bits of ranks that have
    /// never had one.
    static func badArgument(_ world: ProcessGroup) throws {
        let last = world.rankCount - 1
        let isLast = world.rank == last
        for arrangement in Arrangement.allCases {
            var trainee = try Trainee(arrangement, world)
            var undisturbed = try Trainee(arrangement, world)
            let other = TensorSet(
                zeros: try ParameterLayout(
                    trainee.parameters.layout.map { parameter in
                        try ParameterDescription(
                            parameter.name, shape: parameter.shape.isEmpty ? [2] : parameter.shape)
                    }))
            let bad: [(DescentError.Code, (inout Trainee) throws -> Void)] = [
                (.shapeMismatch, { try $0.step(other) }),
                (.invalidWeight, { try $0.step($0.gradients(0), weight: -1) }),
                (.lossScaleMismatch, { try $0.step($0.gradients(0), lossScale: 2) }),
            ]
            for (seed, (code, badStep)) in bad.enumerated() {
                try undisturbed.stepTwice(seed)
                try trainee.step(trainee.gradients(2 * seed))
                if isLast {
                    try expect(code, "", world, whereAlone: true) { try badStep(&trainee) }
                } else {
                    try expect(.processFailure, "Rank \(last) takes no part in this step", world) {
                        try trainee.step(trainee.gradients(2 * seed + 1))
                    }
                }
                try trainee.step(trainee.gradients(2 * seed + 1))
                try require(
                    trainee.parameters.bitPatterns == undisturbed.parameters.bitPatterns,
                    "goes on after \(code), \(arrangement)")
            }
            try requireSameOnAllRanks(trainee.parameters, world, "parameters")
        }
    }

    /// A stage that throws on one rank throws on all, and the step can be tried again.
    static func throwingStage(_ world: ProcessGroup) throws {
        let last = world.rankCount - 1
        for arrangement in Arrangement.allCases {
            for call in 1...3 {
                let stage = Moody(throwsAt: world.rank == last ? call : 0)
                var trainee = try Trainee(arrangement, world, stage)
                var undisturbed = try Trainee(arrangement, world, Moody(throwsAt: 0))
                for seed in 1...3 {
                    try undisturbed.stepTwice(seed)
                    try trainee.step(trainee.gradients(2 * seed))
                    let start = trainee.parameters.bitPatterns
                    if seed == call {
                        let code = world.rank == last ? moodCode : .processFailure
                        let phrase = world.rank == last ? "" : "Rank \(last) takes no part in this step"
                        try expect(code, phrase, world, whereAlone: true) {
                            try trainee.step(trainee.gradients(2 * seed + 1))
                        }
                        try require(trainee.parameters.bitPatterns == start, "nothing changes")
                    }
                    try trainee.step(trainee.gradients(2 * seed + 1))
                    try require(
                        trainee.parameters.bitPatterns == undisturbed.parameters.bitPatterns, "step \(seed) is whole")
                }
                try requireSameOnAllRanks(trainee.parameters, world, "parameters")
            }
        }
    }

    /// A stage that throws on one rank is an error on all, also where these are about to share whole tensors.
    static func throwingBeforeWholeTensors(_ world: ProcessGroup) throws {
        guard world.rankCount > 1 else { return }
        let layout = try ParameterLayout.mixed()
        func pipeline(throwsAt call: Int) throws -> Pipeline {
            try Pipeline(for: TensorSet(zeros: layout), on: SIMDBackend(threads: 1)) {
                AllReduce(over: world)
                Moody(throwsAt: call)
            } driving: {
                Reversal().only(.rank(2...4), mayBeUnused: true)
                AdamW(learningRate: 0.01)
            }
        }
        var parameters = TensorSet.random(layout, seed: 1)
        var undisturbed = parameters
        var trainee = try pipeline(throwsAt: world.rank == 0 ? 2 : 0)
        var reference = try pipeline(throwsAt: 0)
        for step in 1...3 {
            let gradients = TensorSet.random(layout, seed: 10 * step + world.rank)
            _ = try reference.step(&undisturbed, gradients: gradients)
            if step == 2 {
                let phrase = world.rank == 0 ? "" : "Rank 0 takes no part in this step"
                try expect(world.rank == 0 ? moodCode : .processFailure, phrase, world) {
                    _ = try trainee.step(&parameters, gradients: gradients)
                }
            }
            _ = try trainee.step(&parameters, gradients: gradients)
            try require(parameters.bitPatterns == undisturbed.bitPatterns, "step \(step) is whole")
        }
    }

    /// A backward pass that throws on one rank, whose gradients are being summed already, is an error on all.
    static func discarded(_ world: ProcessGroup) throws {
        guard world.rankCount > 1 else { return }
        for arrangement in Arrangement.allCases { try discarded(world, arrangement) }
    }

    private static func discarded(_ world: ProcessGroup, _ arrangement: Arrangement) throws {
        let last = world.rankCount - 1
        var trainee = try Trainee(arrangement, world)
        var undisturbed = try Trainee(arrangement, world)
        let layout = trainee.parameters.layout
        for seed in 1...3 {
            try undisturbed.stepTwice(seed)
            try trainee.step(trainee.gradients(2 * seed))
            for attempt in 0..<2 {
                let gradients = trainee.gradients(2 * seed + 1)
                let isBroken = attempt == 0 && world.rank == last
                for parameter in layout.indices.reversed() where layout[parameter].count > 0 {
                    if isBroken, parameter < seed { break }
                    try trainee.pipeline.receive(gradients, of: parameter)
                }
                if isBroken {
                    trainee.pipeline.discardReceived()
                } else if attempt == 0 {
                    try expect(.processFailure, "Rank \(last) takes no part", world) {
                        _ = try trainee.pipeline.step(&trainee.parameters)
                    }
                } else {
                    _ = try trainee.pipeline.step(&trainee.parameters)
                }
            }
            try require(trainee.parameters.bitPatterns == undisturbed.parameters.bitPatterns, "step \(seed) is whole")
        }
    }

    /// Settings that one rank changes while training are named on all, before anything is written; changed on all, they hold.
    static func changedSettings(_ world: ProcessGroup) throws {
        guard world.rankCount > 1 else { return }
        for arrangement in Arrangement.allCases { try changedSettings(world, arrangement) }
    }

    private static func changedSettings(_ world: ProcessGroup, _ arrangement: Arrangement) throws {
        let last = world.rankCount - 1
        var trainee = try Trainee(arrangement, world)
        try trainee.stepTwice(0)
        func change(_ rank: (Int) -> Bool, _ maximum: Double) throws {
            guard rank(world.rank) else { return }
            try trainee.pipeline.change(ClipByGlobalNorm.self) { $0.maximum = .constant(maximum) }
        }
        try change({ $0 == last }, 2)
        let start = trainee.parameters.bitPatterns
        // Where ranks work on rows of their own, they meet in every micro-batch.
        let isLocal = arrangement == .allReduce
        if isLocal { try trainee.step(trainee.gradients(2)) }
        try expect(
            .processMismatch, "rank \(last)'s ClipByGlobalNorm(2.0) differs from rank 0's ClipByGlobalNorm(1.0)", world
        ) { try trainee.step(trainee.gradients(isLocal ? 3 : 2)) }
        try require(trainee.parameters.bitPatterns == start, "nothing is written")
        try change({ $0 != last }, 2)
        if !isLocal { try trainee.step(trainee.gradients(2)) }
        try trainee.step(trainee.gradients(3))
        try require(trainee.parameters.bitPatterns != start, "training goes on")
        try requireSameOnAllRanks(trainee.parameters, world, "parameters")
    }

    /// A metric that one rank alone is told would give it another learning rate: all throw, before anything is written.
    static func otherMetrics(_ world: ProcessGroup) throws {
        guard world.rankCount > 1 else { return }
        for arrangement in Arrangement.allCases { try otherMetrics(world, arrangement) }
    }

    private static func otherMetrics(_ world: ProcessGroup, _ arrangement: Arrangement) throws {
        var trainee = try Trainee(arrangement, world)
        for metric in [1.0, 2, 3] { if world.rank == 0 { try trainee.pipeline.note(metric: metric) } }
        let start = trainee.parameters.bitPatterns
        try trainee.step(trainee.gradients(0))
        try expect(.processMismatch, "learning rates", world) { try trainee.step(trainee.gradients(1)) }
        try require(trainee.parameters.bitPatterns == start, "nothing is written")
        for metric in [1.0, 2, 3] { if world.rank != 0 { try trainee.pipeline.note(metric: metric) } }
        try trainee.step(trainee.gradients(1))
        try requireSameOnAllRanks(trainee.parameters, world, "parameters")
    }
}

private let moodCode = DescentError.Code("mood")

/// Throws when it is prepared for a certain time.
private struct Moody: GradientTransform {
    /// An object, since ranks compare what is stored in a stage, and a step that throws takes it back.
    private final class Mood: @unchecked Sendable {
        var prepared = 0
        let throwsAt: Int

        init(throwsAt: Int) { self.throwsAt = throwsAt }
    }

    private let mood: Mood
    var state = Stateless()

    init(throwsAt: Int) { mood = Mood(throwsAt: throwsAt) }

    var name: String { "Moody" }
    var treatsParametersAlike: Bool { true }

    mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {
        mood.prepared += 1
        if mood.prepared == mood.throwsAt { throw DescentError(moodCode, "Not today.") }
    }

    func transform(_ block: inout some GradientBlock) { block.scale(by: 0.5) }
}
