import Descent
import TestSupport
import Testing

/// Stages and optimizers in an order that stresses the planner: what is held against the promises of every pipeline.
struct Arrangement: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// The chain in front of the optimizers.
    let stages: @Sendable () -> [any Stage]
    /// The optimizers, with what is put behind the first of them, if a stage can stand there.
    let driving: @Sendable (_ behind: [any Stage]) -> any Driving
    /// How many micro-batches make a step.
    var windowLength = 1
    /// Whether a stage can stand behind the first optimizer.
    var takesStagesBehind = true

    static let all = [
        Arrangement(
            testDescription: "a trust ratio behind AdamW", stages: { [] },
            driving: { behind in
                AdamW(learningRate: 0.01).then {
                    behind; TrustRatio()
                }
            }),
        Arrangement(
            testDescription: "many stages behind SGD, and three that follow",
            stages: { [Unscale(.static(8)), Centralize(), ClipByGlobalNorm(2)] },
            driving: { behind in
                SGD(learningRate: 0.1, momentum: 0.9).then {
                    behind
                    Scale(by: 0.5)
                    Centralize()
                    ClipByGlobalNorm(0.8)
                    Cautious()
                    ClipByNorm(0.5)
                    Lookahead(synchronizationPeriod: 2)
                    Odometer()
                    ExponentialMovingAverage(decay: 0.5)
                }
            }),
        Arrangement(
            testDescription: "two optimizers, stages behind each", stages: { [ClipByGlobalNorm(3)] },
            driving: { behind in
                DrivingOptimizers(
                    Factored().only(.rank(2...4)).then {
                        behind; TrustRatio(); ExponentialMovingAverage(decay: 0.5)
                    }
                    .branches
                        + AdamW(learningRate: 0.01).then {
                            ClipByNorm(0.5); Cautious(); EvenRows()
                        }.branches)
            }),
        Arrangement(
            testDescription: "whole tensors in front of norms, over windows",
            stages: {
                [
                    Accumulate(steps: 2, reduction: .weighted), TopK(share: 0.3), ClipByGlobalNorm(1), TopK(share: 0.5),
                    ClipByNorm(0.5), TopK(share: 0.7),
                ]
            },
            driving: { behind in
                AdamW(learningRate: 0.01).then {
                    TopK(share: 0.5); behind; TrustRatio(); ExponentialMovingAverage(decay: 0.5)
                }
            }, windowLength: 2),
        Arrangement(
            testDescription: "an optimizer of whole tensors, one after another", stages: { [ClipByNorm(2)] },
            driving: { behind in
                // With something behind it, it makes its direction; else it updates by itself.
                Factored(isInTurn: true).then {
                    behind; Odometer()
                }
            }),
        Arrangement(
            testDescription: "an optimizer of whole tensors, at once, behind another stage of such",
            stages: { [TopK(share: 0.4).only(.rank(2...4))] }, driving: { behind in Factored().then { behind } }),
        Arrangement(
            testDescription: "measurements of stages' own, with factors between",
            stages: {
                [
                    Aligned(), Scale(by: .linear(initial: 0.5, end: 2, transitionSteps: 4)), ClipByGlobalNorm(2),
                    Aligned(),
                    EvenRows(), Aligned(),
                ]
            },
            driving: { behind in
                AdamW(learningRate: 0.01).then {
                    behind; Scale(by: -0.5); Aligned()
                }
            }),
        Arrangement(
            testDescription: "stages before and behind an accumulation",
            stages: { [Aligned(), Accumulate(steps: 2), Aligned(), EvenRows(), TopK(share: 0.5)] },
            driving: { behind in LARS(learningRate: 0.1).then { Odometer() } }, windowLength: 2,
            takesStagesBehind: false),
        Arrangement(
            testDescription: "a frozen parameter, three optimizers, one of them in a way of its own",
            stages: { [Freeze(prefix: "layer1.bias"), ClipLayerwise(default: 0.5)] },
            driving: { behind in
                DrivingOptimizers(
                    LAMB(learningRate: 0.01).only(prefix: "layer0.").then {
                        behind; Cautious()
                    }.branches
                        + ScheduleFreeAdamW(learningRate: 0.1).only(.rank(3...3)).branches
                        + NovoGrad(learningRate: 0.01).then {
                            Aligned(); Lookahead(synchronizationPeriod: 3)
                        }.branches)
            }),
    ]

    static let layout = try? ParameterLayout([
        ParameterDescription("layer0.weight", shape: [13, 7]), ParameterDescription("layer0.bias", shape: [13]),
        ParameterDescription("layer1.kernel", shape: [3, 2, 19], outputAxis: .last),
        ParameterDescription("layer1.bias", shape: [19]), ParameterDescription("layer2.weight", shape: [0, 3]),
        ParameterDescription("layer2.gain", shape: []),
    ])

    static func backend(threads: Int = 2) -> SIMDBackend {
        SIMDBackend(threads: threads, blockLength: 24, elementsPerThread: 8)
    }

    func makePipeline<Backend: TensorBackend>(
        for parameters: Backend.Tensors, on backend: Backend, front: [any Stage] = [], end: [any Stage] = [],
        behind: [any Stage] = []
    ) throws -> GradientPipeline<Backend> {
        try GradientPipeline(for: parameters, on: backend) {
            front; stages(); end
        } driving: {
            driving(behind)
        }
    }
}

/// A pipeline, what it trains, and the gradients that it is given next.
struct Training {
    var pipeline: Pipeline
    var parameters: TensorSet
    let layout: ParameterLayout
    private(set) var outcomes: [String] = []

    init(
        _ arrangement: Arrangement, threads: Int = 2, front: [any Stage] = [], end: [any Stage] = [],
        behind: [any Stage] = []
    ) throws {
        layout = try #require(Arrangement.layout)
        parameters = .random(layout, seed: 1)
        pipeline = try arrangement.makePipeline(
            for: parameters, on: Arrangement.backend(threads: threads), front: front, end: end, behind: behind)
    }

    func gradients(_ seed: Int) -> TensorSet { .random(layout, seed: UInt64(seed) + 100) }

    /// Hands over one micro-batch; its outcome is kept, in words.
    @discardableResult mutating func step(_ seed: Int, _ change: (inout TensorSet) -> Void = { _ in }) throws
        -> StepOutcome
    {
        var gradients = gradients(seed)
        change(&gradients)
        let outcome = try pipeline.step(&parameters, gradients: gradients, weight: Double(seed + 1))
        outcomes.append(outcome.details)
        return outcome
    }

    /// The bits of all that lasts but for the window's sum, by name.
    var slots: [String: [UInt32]] {
        let names = pipeline.slotNames.filter { !$0.hasPrefix("Accumulate") }
        return Dictionary(uniqueKeysWithValues: names.map { ($0, pipeline.slot(named: $0)?.bits ?? []) })
    }

    /// The bits of what a training comes to.
    var result: [UInt32] { parameters.bits + slots.sorted { $0.key < $1.key }.flatMap(\.value) }
}
