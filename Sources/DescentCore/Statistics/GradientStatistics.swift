/// What a stage asked to know of the gradient that reaches it, for one step.
///
/// Norms are of the gradient as it arrives at the stage: after everything that earlier stages do to it, whether or
/// not that has been carried out on memory yet.
public struct GradientStatistics {
    /// Everything that has been measured in this step.
    let measured: [MeasuredNorm]
    /// Which of it was measured for this stage.
    let columns: [Int]
    /// The factor that pending stages put on each parameter since it was measured; empty means 1.
    let factors: [Float]
    let parameterCount: Int

    /// The norm over all parameters, 0 for an empty set.
    ///
    /// - Precondition: The stage declared the norm in its requirements.
    /// - Complexity: O(n) in the number of parameters.
    public func norm(_ norm: Norm) -> Double {
        self.norm(norm, over: 0..<parameterCount)
    }

    /// The norm of one parameter's gradient.
    ///
    /// - Precondition: The stage declared the norm in its requirements.
    public func norm(_ norm: Norm, of parameter: Int) -> Double {
        value(column(norm), parameter)
    }

    /// The norm over some of the parameters, given by their positions in the layout.
    ///
    /// - Precondition: The stage declared the norm in its requirements.
    /// - Complexity: O(n) in the number of positions.
    public func norm(_ norm: Norm, over parameters: some Sequence<Int>) -> Double {
        let column = column(norm)
        var combiner = Norm.Combiner(norm)
        for parameter in parameters { combiner.add(value(column, parameter)) }
        return combiner.value
    }

    private func column(_ norm: Norm) -> [Double] {
        for column in columns where measured[column].norm == norm { return measured[column].values }
        preconditionFailure("\(norm) was read but not declared: add .norm(\(norm)) to the stage's requirements.")
    }

    private func value(_ column: [Double], _ parameter: Int) -> Double {
        factors.isEmpty ? column[parameter] : column[parameter] * Double(factors[parameter].magnitude)
    }
}

/// One norm of every parameter, measured at one point of the chain.
struct MeasuredNorm: Sendable {
    let norm: Norm
    var values: [Double]
}

/// Something that a stage has to know of the whole gradient before it can act on any part of it.
public enum Requirement: Sendable, Hashable {
    /// A norm, of all parameters, some of them or each: they are all made of the same sums.
    case norm(Norm)
    /// That every element is finite; where one is not, the step is skipped and the stage told so.
    case finite
}
