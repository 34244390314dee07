// What can be told of the last sweep before it runs: whether it would write what is not finite.

extension Engine {
    /// Why an update would not be what the gradients say, because factors take them out of Float's range.
    ///
    /// A norm that was measured, times the factors that follow it, bounds every element. Only where that bound is beyond
    /// Float's range does it take a sweep to tell.
    mutating func reasonOfOverflow(_ tensors: StepTensors, _ closing: Closing) -> SkipReason? {
        guard plan.checksResult, mayOverflow else { return nil }
        foldFactors()
        run(
            SweepProgram(
                operations: plan.window.final + [.checkGradient], gathering: closing.gathering,
                windowFactor: closing.factor, keepsSlots: false), tensors)
        guard let parameter = firstFlagged(.isNotFinite) else { return nil }
        let name = layout[parameter].name
        return SkipReason(
            .overflow, parameter: name, stage: largestFactor(of: parameter),
            "the gradient of \"\(name)\" arrived finite and leaves the range of Float"
                + (largestFactor(of: parameter).map { " because of \($0)" } ?? " in the chain"))
    }

    /// Why the optimizer cannot update: a rate that is not finite.
    mutating func reasonOfRates() -> SkipReason? {
        for index in optimizers.indices { optimizers[index].prepare(appliedSteps: appliedSteps) }
        guard let problem = rates?.resolve(appliedSteps: appliedSteps) else { return nil }
        return SkipReason(.nonFiniteSetting, stage: optimizer?.name, problem)
    }

    private var mayOverflow: Bool {
        guard let column = plan.boundingColumn else { return false }
        var bound = measured[column].values.max() ?? 0
        for stage in plan.columns[column].firstFactor..<stages.count { bound *= stageFactors[stage].largest }
        return !(bound <= Double(Float.greatestFiniteMagnitude) * (1 - 0x1p-20))
    }

    /// The stage that multiplies a parameter's gradient most, if one makes it larger.
    private func largestFactor(of parameter: Int) -> String? {
        let factors = stages.indices.map { stageFactors[$0].of(parameter).magnitude }
        guard let largest = factors.max(), largest > 1 else { return nil }
        return factors.firstIndex(of: largest).map { stageNames[$0] }
    }
}
