/// Something that a stage has to know of the whole gradient before it can act on any part of it.
public enum Requirement: Sendable, Hashable, CustomStringConvertible {
    /// A norm, of all parameters, some of them or each: they are all made of the same sums.
    case norm(Norm)
    /// That every element is finite; where one is not, the step is skipped and the stage told so.
    case finite
    /// How many elements are not finite.
    case nonFiniteCount
    /// How many elements have a magnitude below a limit, zeros included.
    ///
    /// Factors of scaling stages right before the stage are not taken into account.
    case count(below: Float)
    /// The norm of each parameter itself, before the step. Costs reading the parameters.
    case parameterNorm(Norm)
    /// The sum, over each parameter's elements, of gradient times slot, for the slot at an offset from the stage's first.
    case dotProduct(slot: Int)
    /// A number that the stage measures by itself, in `measure(_:of:)`.
    case measured(TensorMeasurement)
    /// That the parameters can be read in `transform`, which a chain alone has to be handed them for.
    case parameters
    /// That a stage behind an optimizer can read the gradient which the optimizer made the update of.
    case gradient

    /// What it is, for explanations: "L2 norms".
    public var description: String {
        switch self {
        case .norm(let norm): "\(norm) norms"
        case .finite: "that all is finite"
        case .nonFiniteCount: "the number of elements that are not finite"
        case .count(let limit): "the number of elements below \(limit)"
        case .parameterNorm(let norm): "\(norm) norms of parameters"
        case .dotProduct(let slot): "the products of gradient and slot \(slot)"
        case .measured(let measurement): "the \(measurement)"
        case .parameters: "the parameters"
        case .gradient: "the gradient"
        }
    }

    /// How it is written in a list of requirements.
    var inCode: String {
        switch self {
        case .norm(let norm): ".norm(\(norm.inCode))"
        case .finite: ".finite"
        case .nonFiniteCount: ".nonFiniteCount"
        case .count(let limit): ".count(below: \(limit))"
        case .parameterNorm(let norm): ".parameterNorm(\(norm.inCode))"
        case .dotProduct(let slot): ".dotProduct(slot: \(slot))"
        case .measured(let measurement): ".measured(...) of \(measurement)"
        case .parameters: ".parameters"
        case .gradient: ".gradient"
        }
    }

    /// Whether it needs the parameters.
    var readsParameters: Bool {
        switch self {
        case .parameterNorm, .parameters: true
        case .norm, .finite, .nonFiniteCount, .count, .dotProduct, .measured, .gradient: false
        }
    }

    /// Whether it is measured, and not merely a permission or a check.
    var isMeasured: Bool {
        switch self {
        case .norm, .nonFiniteCount, .count, .parameterNorm, .dotProduct, .measured: true
        case .finite, .parameters, .gradient: false
        }
    }

    /// Whether only the stage that asks for it can measure it, from slots or in a way of its own.
    var belongsToStage: Bool {
        switch self {
        case .dotProduct, .measured: true
        case .norm, .finite, .nonFiniteCount, .count, .parameterNorm, .parameters, .gradient: false
        }
    }

    /// Whether it can be measured only of a gradient that all factors have been applied to.
    var needsTrueGradient: Bool {
        if case .measured(let measurement) = self { measurement.degree == nil } else { false }
    }

    /// How blocks are put together to parameters: counts are added like an L1 norm.
    var combiner: Norm.Combiner {
        switch self {
        case .norm(let norm), .parameterNorm(let norm): Norm.Combiner(norm)
        case .measured(let measurement): measurement.combiner
        case .finite, .nonFiniteCount, .count, .dotProduct, .parameters, .gradient: Norm.Combiner(.l1)
        }
    }
}
