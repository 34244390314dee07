/// What a stage sees and decides in ``GradientTransform/prepare(_:)``.
public struct StepPreparation {
    /// The parameters.
    public let layout: ParameterLayout
    /// The number of steps applied before this one; schedules read it.
    public let appliedSteps: Int
    /// For each parameter, how many of these it took no part in; empty if all took part in all.
    public let missedSteps: [Int]
    /// What the stage required to know of the gradient that reaches it.
    public package(set) var incoming: GradientStatistics

    var factors: ScaleFactors
    var veto: String?
    var records: StepRecords
    let stage: String

    init(
        layout: ParameterLayout, appliedSteps: Int, missedSteps: [Int], incoming: GradientStatistics,
        factors: ScaleFactors, records: StepRecords, stage: String
    ) {
        self.layout = layout
        self.appliedSteps = appliedSteps
        self.missedSteps = missedSteps
        self.incoming = incoming
        self.factors = factors
        self.records = records
        self.stage = stage
    }

    /// The parameters that the stage is to work on; nil for all.
    ///
    /// Others are not scaled and do not count in norms.
    var selection: [Bool]? {
        get { incoming.selection }
        set { incoming.selection = newValue }
    }

    /// Whether the stage works on a parameter: one that is not frozen, takes part in this step, belongs to the optimizer that
    /// it stands behind, and that it has not been restricted from.
    public func concerns(_ parameter: Int) -> Bool { selection?[parameter] ?? true }

    /// Whether the stage works on any parameter.
    @usableFromInline var concernsAny: Bool { selection?.contains(true) ?? true }

    /// How many updates a parameter has had before this step: fewer than ``appliedSteps`` where it took no part in some.
    ///
    /// - Precondition: The parameter is one of the layout's.
    public func updates(of parameter: Int) -> Int {
        appliedSteps - (missedSteps.isEmpty ? 0 : missedSteps[parameter])
    }

    /// Whether the stage has set a factor.
    package var hasFactors: Bool { factors.hasEach || factors.uniform != 1 }

    /// Multiplies all gradients by a factor; for stages whose effect is ``StageEffect/scaling``.
    ///
    /// Factors of consecutive stages are multiplied in Double and rounded once. One that is not finite skips the step. Those
    /// of a stage of another effect, which nobody would carry out, stop the program.
    @_disfavoredOverload public mutating func scale(by factor: Double) {
        guard let selection else {
            factors.multiply(by: factor)
            return
        }
        for parameter in selection.indices { scale(parameter, by: selection[parameter] ? factor : 1) }
    }

    /// Multiplies all gradients by a factor; see ``scale(by:)-(Double)``.
    public mutating func scale(by factor: Float) { scale(by: Double(factor)) }

    /// Multiplies one parameter's gradient by a factor; for stages whose effect is ``StageEffect/scaling``.
    ///
    /// - Precondition: The parameter is one of the layout's.
    @_disfavoredOverload public mutating func scale(_ parameter: Int, by factor: Double) {
        stopUnless(
            layout.indices.contains(parameter),
            "\(stage) scales parameter \(parameter); there are \(layout.count), counted from 0.")
        if let selection, !selection[parameter] { return }
        factors.multiply(parameter, of: layout.count, by: factor)
    }

    /// Multiplies one parameter's gradient by a factor; see ``scale(_:by:)-(_,Double)``.
    public mutating func scale(_ parameter: Int, by factor: Float) { scale(parameter, by: Double(factor)) }

    /// The value of a setting in this step; where it is out of range, the step is skipped.
    ///
    /// - Parameters:
    ///   - schedule: The setting.
    ///   - setting: Its name, for the reason: "maximum".
    ///   - range: Which values it may have.
    /// - Returns: The value; nil if the step is skipped for it, and nothing is left to prepare.
    public mutating func value(
        of schedule: Schedule, _ setting: @autoclosure () -> String, in range: SettingRange
    ) -> Float? {
        let value = schedule.unroundedValue(at: appliedSteps)
        if range.contains(value) { return Float(value) }
        veto(range.problem(setting(), value, at: appliedSteps))
        return nil
    }

    /// Skips this step, so that nothing is changed by it.
    ///
    /// - Parameter reason: What the outcome says about it.
    public mutating func veto(_ reason: String) {
        if veto == nil { veto = reason }
    }

    /// How many elements the stage works on.
    private var selectedCount: Int {
        guard let selection else { return layout.elementCount }
        return layout.indices.reduce(0) { selection[$1] ? $0 + layout[$1].count : $0 }
    }

    /// Records for the report that the stage does something to a number of elements.
    public mutating func record(count: Int) {
        records.counts.append(CountRecord(stage: stage, count: count, total: selectedCount))
    }

    /// Records for the report that the stage does something to as many elements as it required or observed a count of.
    ///
    /// What is merely observed may be counted after this, in the sweep that ends the step.
    ///
    /// - Parameter what: The count.
    /// - Precondition: The stage declared it, in its requirements or in its observations.
    public mutating func record(countOf what: Requirement) {
        record(count: 0)
        guard let statistic = incoming.statistic(of: what) else { return }
        records.awaited.append(
            AwaitedCount(record: records.counts.count - 1, statistic: statistic, selection: selection))
    }

    /// Records a number for the report, which observers and TensorBoard get as well.
    ///
    /// ```swift
    /// step.record("trust ratio", ratio, of: parameter)
    /// ```
    /// - Parameters:
    ///   - name: What the number is; a literal costs nothing.
    ///   - value: The number.
    ///   - parameter: The position of the parameter that it is of; nil for all together.
    public mutating func record(_ name: String, _ value: Double, of parameter: Int? = nil) {
        records.values.append(
            ValueRecord(stage: stage, name: name, parameter: parameter.map { layout[$0].name }, value: value))
    }

    /// Records a norm that the stage does nothing about, for the report.
    ///
    /// - Parameters:
    ///   - norm: The norm, as it arrived.
    ///   - kind: Which norm.
    ///   - group: What it is of; nil for all parameters.
    public mutating func record(norm: Double, kind: Norm = .l2, of group: String? = nil) {
        record(norm, times: 1, kind, group)
    }

    /// Clips what some parameters have in common to a maximum norm, and records it for the report.
    ///
    ///     factor = min(1, maximum / (norm + epsilon))
    ///
    /// - Parameters:
    ///   - parameters: The positions of the parameters that share the norm.
    ///   - norm: Their norm, as it arrived; finite.
    ///   - maximum: The threshold, above 0; infinity clips nothing, and the norm is recorded.
    ///   - epsilon: What is added to the norm in the denominator.
    ///   - kind: The norm's kind, for the report.
    ///   - group: What the parameters have in common, for the report; nil if they are all there are.
    // Inlinable, as iterating over a sequence of a type that is not known asks for memory.
    @inlinable
    public mutating func clip(
        _ parameters: some Sequence<Int>, norm: Double, to maximum: Float, epsilon: Float, kind: Norm = .l2,
        group: String? = nil
    ) {
        let isConcerned =
            group == nil ? concernsAny : parameters.contains { layout.indices.contains($0) && concerns($0) }
        guard isConcerned else { return }
        let factor = min(1, Double(maximum) / (norm + Double(epsilon)))
        if group == nil {
            scale(by: factor)
        } else if factor < 1 {
            for parameter in parameters { scale(parameter, by: factor) }
        }
        record(norm, times: factor, kind, group)
    }

    /// Clips each of some groups of parameters by its own norm, and records that for the report.
    ///
    ///     factor = min(1, maximum / (norm + epsilon))
    ///
    /// It is the fastest way to clip many: a few operations a group. Groups without a parameter that the stage works on
    /// are left out.
    ///
    /// - Parameters:
    ///   - groups: The groups, of the layout's parameters.
    ///   - epsilon: What is added to norms in the denominator.
    ///   - kind: Which norm.
    ///   - maximum: Gives the threshold of a group by its position, above 0; infinity clips nothing, and the norm is
    ///     recorded; nil leaves the group alone.
    /// - Precondition: The stage declared the norm in its requirements, and the groups are made of the same layout.
    public mutating func clip(
        _ groups: ParameterGroups, epsilon: Float, kind: Norm = .l2, to maximum: (_ group: Int) -> Float?
    ) {
        stopUnless(
            groups.members.count == layout.count,
            "\(stage) clips groups of \(groups.members.count) parameters; there are \(layout.count).")
        let (norms, selection) = (incoming.norms(kind), selection)
        // Taken out, so that the loop does not look for them in the step.
        var records = NormRecords()
        swap(&records, &self.records.norms)
        defer { swap(&records, &self.records.norms) }
        records.begin(stage, kind, of: groups.names)
        factors.withEach(of: layout.count) { each in
            let (members, ends) = (groups.members.span, groups.ends.span)
            var (end, isClipped) = (0, false)
            for group in ends.indices {
                let own = members.extracting(end..<ends[group])
                end = ends[group]
                guard let maximum = maximum(group), let norm = norms.combined(own, selection) else { continue }
                let factor = min(1, Double(maximum) / (norm + Double(epsilon)))
                records.add(norm, times: factor, of: group)
                guard factor < 1 else { continue }
                isClipped = true
                for index in own.indices where selection?[own[index]] ?? true { each[own[index]] *= factor }
            }
            return isClipped
        }
    }

    /// Clips one parameter to a maximum norm; see ``clip(_:norm:to:epsilon:kind:group:)-(_,_,_,_,_,_)``.
    public mutating func clip(
        _ parameter: Int, norm: Double, to maximum: Float, epsilon: Float, kind: Norm = .l2, group: String
    ) {
        guard concerns(parameter) else { return }
        let factor = min(1, Double(maximum) / (norm + Double(epsilon)))
        if factor < 1 { scale(parameter, by: factor) }
        record(norm, times: factor, kind, group)
    }

    @usableFromInline
    mutating func record(_ norm: Double, times factor: Double, _ kind: Norm, _ group: String?) {
        records.norms.add(stage, norm, times: factor, kind, of: group)
    }
}
