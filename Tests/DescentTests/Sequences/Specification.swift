import Descent

/// A sequence of calls and what it is called on, as plain values: what a seed stands for, and what shrinks.
struct CallSequence {
    var seed: UInt64
    var tensors: [Tensor]
    /// What parameters are drawn as at first.
    var parameters: Gradients
    /// One pipeline or chain, or two that share a loss scale.
    var subjects: [Subject]
    /// The scale that they share, if they do.
    var sharedScale: ScaleSetting?
    var calls: [Call]

    /// A parameter's name and shape.
    struct Tensor: Equatable {
        var name: String
        var shape: [Int]
        var outputAxis = OutputAxis.first
    }

    var layout: ParameterLayout {
        get throws {
            try ParameterLayout(
                tensors.map { try ParameterDescription($0.name, shape: $0.shape, outputAxis: $0.outputAxis) })
        }
    }
}

/// A pipeline, or a chain alone.
struct Subject {
    var stages: [StageSpecification]
    /// What ends it; nil for a chain alone.
    var optimizer: OptimizerSetting?
    var policy = NonFinitePolicy.skip
    var blockLength = 64
    var threads = 1
    var companion: Companion?
    /// Whether gradients are multiplied by 1.001 unknown to the model: a fault that has to be found.
    var hasPlantedFault = false

    /// A second subject that is given the same, and has to do the same to the bit.
    enum Companion: String, CaseIterable {
        case anotherThread = "the same with two threads"
        case portable = "the same in portable code"
        case whole = "the same, with gradients all at once"
        case elsewhere = "the same, into other memory"
    }

    var accumulation: Int? {
        stages.firstIndex { if case .accumulate = $0.kind { true } else { false } }
    }
}

/// A stage and its settings.
struct StageSpecification {
    var kind: Kind
    /// The names of the parameters that it works on begin like this; nil for all.
    var prefix: String?

    enum Kind {
        case scale(Rate)
        case accumulate(steps: Int, Accumulate.Reduction, Accumulate.NonFinite)
        case unscale(ScaleSetting)
        case unscaleShared
        case clipByValue(Float)
        case clipByNorm(Float)
        case clipByGlobalNorm(Float, Norm)
        case clipLayerwise(Float)
        case clipAdaptively(Float)
        case centralize
        case normalize
        case mask(prefix: String)
        case freeze(prefix: String)
        case zeroNonFinite
        case faulty(number: Int, needsNorm: Bool)
        case remembering(number: Int)
    }
}

/// A loss scale's settings: powers of two, so that the model's scale is the pipeline's to the bit.
struct ScaleSetting {
    var isDynamic = true
    var initial: Float = 16
    var growthInterval = 2
    var hysteresis = 1
    var minimum: Float = 1
    var maximum: Float = 64
}

/// A number that depends on the count of applied steps.
enum Rate {
    case constant(Double)
    case exponential(Double, rate: Double)
    case table([Double])

    /// The number, worked out plainly.
    func value(at step: Int) -> Double {
        switch self {
        case .constant(let value): value
        case .exponential(let initial, let rate): (0..<step).reduce(initial) { value, _ in value * rate }
        case .table(let values): values[min(step, values.count - 1)]
        }
    }
}

/// An optimizer and its settings; the numbers that are not here are in `OptimizerSetting+Update.swift`.
struct OptimizerSetting {
    var kind: Kind
    var rate = Rate.constant(0.5)

    enum Kind: String, CaseIterable {
        case plainSGD = "SGD"
        case maximizingSGD = "SGD, maximize"
        case momentumSGD = "SGD, momentum 0.5, weight decay 0.25"
        case nesterovSGD = "SGD, momentum 0.5, Nesterov, maximize"
        case dampenedSGD = "SGD, momentum 0.5, dampening 0.25"
        case adam = "Adam, weight decay 0.25"
        case amsgrad = "Adam, AMSGrad"
        case adamW = "AdamW, weight decay 0.25, without decay of vectors"
        case rmsProp = "RMSProp"
        case momentumRMSProp = "RMSProp, momentum 0.5, weight decay 0.25"
        case adagrad = "Adagrad, initial accumulator 0.25, rate decay 0.5"
        case lion = "Lion, weight decay 0.25"
    }
}
