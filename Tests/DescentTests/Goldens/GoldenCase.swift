import Descent
import Foundation
import TestSupport

/// One training run that PyTorch or Optax computed; the schema is described in `Fixtures/Goldens/README.md`.
struct GoldenCase: Decodable {
    struct Parameter: Decodable {
        let name: String
        let shape: [Int]
        let values: [Number]
    }

    struct Microbatch: Decodable {
        let gradients: [[Number]]
        let weight: Double?
        let flush: Bool?
    }

    struct Expectation: Decodable {
        let outcome: String
        let lossScaleAfter: Number?
        let globalNormBeforeClip: Number?
        let parameters: [[Number]]?
    }

    struct Tolerance: Decodable {
        let absolute: Double
        let relative: Double
    }

    /// A number, or the name of one that is not finite.
    struct Number: Decodable {
        let value: Double

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let value = try? container.decode(Double.self) {
                self.value = value
                return
            }
            switch try container.decode(String.self) {
            case "nan": value = .nan
            case "inf": value = .infinity
            case "-inf": value = -.infinity
            case let other:
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "\"\(other)\" is no number")
            }
        }
    }

    /// Settings of which only some are there, according to the kind.
    typealias Settings = [String: Setting]

    enum Setting: Decodable {
        case null
        case flag(Bool)
        case number(Double)
        case text(String)
        case object([String: Setting])

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if container.decodeNil() {
                self = .null
            } else if let flag = try? container.decode(Bool.self) {
                self = .flag(flag)
            } else if let number = try? container.decode(Double.self) {
                self = .number(number)
            } else if let text = try? container.decode(String.self) {
                self = .text(text)
            } else {
                self = .object(try container.decode([String: Setting].self))
            }
        }

        var number: Double? { if case .number(let number) = self { number } else { nil } }
        var text: String? { if case .text(let text) = self { text } else { nil } }
        var flag: Bool { if case .flag(let flag) = self { flag } else { false } }
        var object: Settings? { if case .object(let object) = self { object } else { nil } }
    }

    let schema: Int
    let name: String
    let parameters: [Parameter]
    let pipeline: [Settings]
    let optimizer: Settings
    let microbatches: [Microbatch]
    let skipsNonFinite: Bool?
    let expected: [Expectation]
    let tolerance: Tolerance
}

/// Something that the schema names and the library does not have.
struct NotSupported: Error, CustomStringConvertible {
    let description: String
}

extension GoldenCase {
    func makeLayout() throws -> ParameterLayout {
        try ParameterLayout(parameters.map { try ParameterDescription($0.name, shape: $0.shape) })
    }

    func makeStages() throws -> [any Stage] { try pipeline.map(makeStage) }

    private func makeStage(_ settings: Settings) throws -> any Stage {
        func float(_ key: String, _ fallback: Float) -> Float { settings[key]?.number.map { Float($0) } ?? fallback }
        switch settings["stage"]?.text ?? "" {
        case "scale":
            return Scale(by: .constant(settings["factor"]?.number ?? .nan))
        case "accumulate":
            guard let reduction = Accumulate.Reduction(rawValue: settings["reduction"]?.text ?? "mean") else {
                throw NotSupported(description: "reduction \(settings["reduction"]?.text ?? "")")
            }
            return Accumulate(steps: Int(float("steps", .nan)), reduction: reduction)
        case "unscale":
            return Unscale(makeLossScale(settings["lossScale"]?.object ?? [:]))
        case "clipByValue":
            return ClipByValue(float("limit", .nan))
        case "clipByNorm":
            return ClipByNorm(float("maximum", .nan), epsilon: float("epsilon", 1e-6))
        case "clipByGlobalNorm":
            let norms: [String: Norm] = ["l1": .l1, "l2": .l2, "linf": .lInfinity]
            guard let norm = norms[settings["norm"]?.text ?? "l2"] else {
                throw NotSupported(description: "norm \(settings["norm"]?.text ?? "")")
            }
            return ClipByGlobalNorm(float("maximum", .nan), norm: norm, epsilon: float("epsilon", 1e-6))
        case "clipLayerwise":
            let maxima = (settings["layers"]?.object ?? [:]).compactMapValues { $0.number.map { Float($0) } }
            return ClipLayerwise(
                default: settings["default"]?.number.map { Float($0) }, layers: maxima, epsilon: float("epsilon", 1e-6))
        case "clipAdaptively":
            return ClipAdaptively(factor: float("factor", 0.01), epsilon: float("epsilon", 1e-3))
        case "centralize":
            return Centralize()
        case let other:
            throw NotSupported(description: "stage \(other)")
        }
    }

    private func makeLossScale(_ settings: Settings) -> LossScale {
        if let scale = settings["static"]?.number { return .static(Float(scale)) }
        var scale = LossScale.dynamic()
        if let initial = settings["initial"]?.number { scale.initial = Float(initial) }
        if let factor = settings["growthFactor"]?.number { scale.growthFactor = factor }
        if let factor = settings["backoffFactor"]?.number { scale.backoffFactor = factor }
        if let interval = settings["growthInterval"]?.number { scale.growthInterval = Int(interval) }
        scale.maximum = .greatestFiniteMagnitude
        scale.minimum = .leastNormalMagnitude
        return scale
    }

    func makeOptimizer() throws -> any Optimizer {
        func double(_ key: String, _ fallback: Double) -> Double { optimizer[key]?.number ?? fallback }
        func float(_ key: String, _ fallback: Float) -> Float { optimizer[key]?.number.map { Float($0) } ?? fallback }
        let groups: [ParameterGroup] = optimizer["decayExcludesVectors"]?.flag == true ? [.vectorsWithoutDecay] : []
        switch optimizer["kind"]?.text ?? "" {
        case "sgd":
            return SGD(
                learningRate: try makeSchedule(), momentum: double("momentum", 0), dampening: double("dampening", 0),
                nesterov: optimizer["nesterov"]?.flag ?? false, weightDecay: float("weightDecay", 0),
                maximize: optimizer["maximize"]?.flag ?? false, groups: groups)
        case "adam":
            return Adam(
                learningRate: try makeSchedule(), beta1: double("beta1", 0.9), beta2: double("beta2", 0.999),
                epsilon: float("epsilon", 1e-8), weightDecay: float("weightDecay", 0),
                amsgrad: optimizer["amsgrad"]?.flag ?? false, groups: groups)
        case "rmsProp":
            return RMSProp(
                learningRate: try makeSchedule(), alpha: double("alpha", 0.99), epsilon: float("epsilon", 1e-8),
                momentum: double("momentum", 0), centered: optimizer["centered"]?.flag ?? false,
                weightDecay: float("weightDecay", 0), groups: groups)
        case "adagrad":
            return Adagrad(
                learningRate: try makeSchedule(), learningRateDecay: float("learningRateDecay", 0),
                initialAccumulator: float("initialAccumulator", 0), epsilon: float("epsilon", 1e-10),
                weightDecay: float("weightDecay", 0), groups: groups)
        case "lion":
            return Lion(
                learningRate: try makeSchedule(), beta1: double("beta1", 0.9), beta2: double("beta2", 0.99),
                weightDecay: float("weightDecay", 0), groups: groups)
        case "lamb":
            return LAMB(
                learningRate: try makeSchedule(), beta1: double("beta1", 0.9), beta2: double("beta2", 0.999),
                epsilon: float("epsilon", 1e-6), weightDecay: float("weightDecay", 0), groups: groups)
        case "adamW":
            return AdamW(
                learningRate: try makeSchedule(), beta1: double("beta1", 0.9), beta2: double("beta2", 0.999),
                epsilon: float("epsilon", 1e-8), weightDecay: float("weightDecay", 0),
                amsgrad: optimizer["amsgrad"]?.flag ?? false, groups: groups)
        case let other:
            throw NotSupported(description: "optimizer \(other)")
        }
    }

    private func makeSchedule() throws -> Schedule {
        let learningRate = optimizer["learningRate"]?.number ?? .nan
        guard let settings = optimizer["schedule"]?.object else { return .constant(learningRate) }
        func number(_ key: String, _ fallback: Double) -> Double { settings[key]?.number ?? fallback }
        switch settings["kind"]?.text ?? "" {
        case "warmupCosine":
            return .warmupCosine(
                peak: learningRate, warmup: Int(number("warmupSteps", 0)), total: Int(number("decaySteps", 1)),
                initial: number("initial", 0), end: number("end", 0))
        case "exponential":
            return .exponential(
                initial: learningRate, rate: number("rate", 1), transitionSteps: Int(number("transitionSteps", 1)))
        case let other:
            throw NotSupported(description: "schedule \(other)")
        }
    }
}
