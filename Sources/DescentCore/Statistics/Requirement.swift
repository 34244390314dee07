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
    /// That the parameters can be read in `transform`, which a chain alone has to be handed them for.
    case parameters

    /// What it is, for explanations: "L2 norms".
    public var description: String {
        switch self {
        case .norm(let norm): "\(norm) norms"
        case .finite: "that all is finite"
        case .nonFiniteCount: "the number of elements that are not finite"
        case .count(let limit): "the number of elements below \(limit)"
        case .parameterNorm(let norm): "\(norm) norms of parameters"
        case .parameters: "the parameters"
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
        case .parameters: ".parameters"
        }
    }

    /// Whether it needs the parameters.
    var readsParameters: Bool {
        switch self {
        case .parameterNorm, .parameters: true
        case .norm, .finite, .nonFiniteCount, .count: false
        }
    }

    /// How blocks are put together to parameters: counts are added like an L1 norm.
    var combiner: Norm.Combiner {
        switch self {
        case .norm(let norm), .parameterNorm(let norm): Norm.Combiner(norm)
        case .finite, .nonFiniteCount, .count, .parameters: Norm.Combiner(.l1)
        }
    }
}
