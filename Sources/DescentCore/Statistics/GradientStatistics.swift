/// What a stage asked to know of the gradient that reaches it, for one step.
///
/// Norms are of the gradient as it arrives at the stage: after everything that earlier stages do to it, whether or
/// not that has been carried out on memory yet.
public struct GradientStatistics {
    /// Everything that has been measured in this step.
    let measured: [MeasuredStatistic]
    /// Which of it was measured for this stage.
    let indices: [Int]
    /// The factor that pending stages put on each parameter since it was measured.
    var factors: [Double]
    /// The parameters that count; nil for all.
    var selection: [Bool]?
    /// The stage that they are for, for messages.
    let stage: String
    /// Who takes note of what is read, so that something undeclared can be reported instead of stopping the program.
    package var audit: StatisticsAudit?

    @usableFromInline
    func isSelected(_ parameter: Int) -> Bool { selection?[parameter] ?? true }

    /// The norm over all parameters, 0 for an empty set.
    ///
    /// - Precondition: The stage declared the norm in its requirements.
    /// - Complexity: O(n) in the number of parameters.
    public func norm(_ norm: Norm) -> Double {
        let values = position(of: norm).map { measured[$0].values } ?? values(.norm(norm))
        var combiner = Norm.Combiner(norm)
        guard selection != nil else {
            combiner.add(values.span, times: factors.span)
            return combiner.value
        }
        for parameter in values.indices where isSelected(parameter) {
            combiner.add(values[parameter] * factors[parameter].magnitude)
        }
        return combiner.value
    }

    /// The norm of one parameter's gradient.
    ///
    /// - Precondition: The stage declared the norm in its requirements, and the parameter is one of the layout's.
    public func norm(_ norm: Norm, of parameter: Int) -> Double {
        require(parameter)
        let incoming = factors[parameter].magnitude
        guard let index = position(of: norm) else { return values(.norm(norm))[parameter] * incoming }
        return measured[index].values[parameter] * incoming
    }

    /// The norm over some of the parameters, given by their positions in the layout.
    ///
    /// - Precondition: The stage declared the norm in its requirements.
    /// - Complexity: O(n) in the number of positions.
    // Inlinable, as iterating over a sequence of a type that is not known asks for memory.
    @inlinable
    public func norm(_ norm: Norm, over parameters: some Sequence<Int>) -> Double {
        // Most are lists, over which a loop that knows so is many times as fast.
        if let norm = parameters.withContiguousStorageIfAvailable({ combinedNorm(norm, over: $0) }) { return norm }
        var combiner = Norm.Combiner(norm)
        for parameter in parameters {
            let part = self.norm(norm, of: parameter)
            if isSelected(parameter) { combiner.add(part) }
        }
        return combiner.value
    }

    /// The norms of one kind, to combine those of many groups.
    ///
    /// - Precondition: The stage declared the norm in its requirements.
    func norms(_ norm: Norm) -> PendingNorms {
        PendingNorms(kind: norm, values: values(.norm(norm)), factors: factors)
    }

    @usableFromInline
    func combinedNorm(_ norm: Norm, over parameters: UnsafeBufferPointer<Int>) -> Double {
        let values = position(of: norm).map { measured[$0].values } ?? values(.norm(norm))
        var combiner = Norm.Combiner(norm)
        for parameter in parameters {
            require(parameter)
            guard isSelected(parameter) else { continue }
            combiner.add(values[parameter] * factors[parameter].magnitude)
        }
        return combiner.value
    }

    /// Where a norm is among what was measured for the stage; nil if it was not, or if somebody takes note of what is read.
    private func position(of norm: Norm) -> Int? {
        guard audit == nil else { return nil }
        for index in indices {
            if case .norm(let own) = measured[index].what, own == norm { return index }
        }
        return nil
    }

    /// The norm of one parameter itself, before this step.
    ///
    /// - Precondition: The stage declared it in its requirements.
    public func parameterNorm(_ norm: Norm, of parameter: Int) -> Double {
        require(parameter)
        return values(.parameterNorm(norm))[parameter]
    }

    /// The number of elements that are not finite, over all parameters.
    ///
    /// - Precondition: The stage declared it in its requirements.
    public var nonFiniteCount: Int { count(.nonFiniteCount) }

    /// The number of elements whose magnitude is below a limit, zeros included, over all parameters.
    ///
    /// - Precondition: The stage declared it in its requirements.
    public func count(below limit: Float) -> Int { count(.count(below: limit)) }

    /// The number of elements of one parameter's gradient that are not finite.
    ///
    /// - Precondition: The stage declared ``Requirement/nonFiniteCount``, and the parameter is one of the layout's.
    public func nonFiniteCount(of parameter: Int) -> Int {
        require(parameter)
        return Int(values(.nonFiniteCount)[parameter])
    }

    /// The number of elements of one parameter's gradient whose magnitude is below a limit, zeros included.
    ///
    /// - Precondition: The stage declared it in its requirements, and the parameter is one of the layout's.
    public func count(below limit: Float, of parameter: Int) -> Int {
        require(parameter)
        return Int(values(.count(below: limit))[parameter])
    }

    /// The sum over one parameter's elements of gradient times slot.
    ///
    /// - Precondition: The stage declared ``Requirement/dotProduct(slot:)``, and the parameter is one of the layout's.
    public func dotProduct(slot: Int, of parameter: Int) -> Double {
        require(parameter)
        return values(.dotProduct(slot: slot))[parameter] * factors[parameter]
    }

    /// What the stage measured by itself of one parameter.
    ///
    /// - Precondition: The stage declared ``Requirement/measured(_:)``, and the parameter is one of the layout's.
    public func value(_ measurement: TensorMeasurement, of parameter: Int) -> Double {
        require(parameter)
        return measurement.scaled(values(.measured(measurement))[parameter], by: factors[parameter])
    }

    /// What the stage measured by itself, of all parameters together.
    ///
    /// - Precondition: The stage declared ``Requirement/measured(_:)``.
    /// - Complexity: O(n) in the number of parameters.
    public func value(_ measurement: TensorMeasurement) -> Double {
        let values = values(.measured(measurement))
        var combiner = measurement.combiner
        for parameter in factors.indices where isSelected(parameter) {
            combiner.add(measurement.scaled(values[parameter], by: factors[parameter]))
        }
        return combiner.value
    }

    private func count(_ requirement: Requirement) -> Int {
        let values = values(requirement)
        return Int(values.indices.reduce(0) { isSelected($1) ? $0 + values[$1] : $0 })
    }

    private func require(_ parameter: Int) {
        stopUnless(
            factors.indices.contains(parameter),
            "\(stage) reads of parameter \(parameter); there are \(factors.count), counted from 0.")
    }

    private func values(_ requirement: Requirement) -> [Double] {
        statistic(of: requirement).map { measured[$0].values } ?? [Double](repeating: 0, count: factors.count)
    }

    /// Which of all that is measured the stage has declared as this; nil only where somebody takes note of what is undeclared.
    func statistic(of requirement: Requirement) -> Int? {
        let index = indices.first { measured[$0].what == requirement }
        audit?.note(requirement, isDeclared: index != nil)
        stopUnless(
            index != nil || audit != nil,
            "\(stage) reads \(requirement), which it does not declare: add \(requirement.inCode) to its requirements, or "
                + "to its observations if it reads that in finish(_:) alone.")
        return index
    }
}

/// The norms of all parameters, and what has to be multiplied in.
struct PendingNorms {
    let kind: Norm
    let values: [Double]
    let factors: [Double]

    /// The norm over some parameters.
    ///
    /// - Parameters:
    ///   - parameters: Their positions.
    ///   - selection: For each parameter, whether it counts; nil for all.
    /// - Returns: The norm; nil if none of them counts.
    @inline(__always)
    func combined(_ parameters: Span<Int>, _ selection: [Bool]?) -> Double? {
        if parameters.count == 1, selection == nil { return values[parameters[0]] * factors[parameters[0]].magnitude }
        var combiner = Norm.Combiner(kind)
        var (count, last) = (0, 0.0)
        for index in parameters.indices {
            let parameter = parameters[index]
            guard selection?[parameter] ?? true else { continue }
            last = values[parameter] * factors[parameter].magnitude
            combiner.add(last)
            count += 1
        }
        if parameters.count == 1 { return count == 1 ? last : nil }
        return count > 0 ? combiner.value : nil
    }
}

/// Something measured for every parameter, at one point of the chain.
struct MeasuredStatistic: Sendable {
    let what: Requirement
    var values: [Double]
}
