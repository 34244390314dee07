/// What drives an optimizer: the optimizer, and the rates of each parameter in the present step.
struct OptimizerDriver: Sendable {
    private(set) var optimizer: any Optimizer
    /// Learning rate and weight decay of each parameter.
    private(set) var rates: ResolvedRates

    /// Takes over an optimizer that is configured.
    ///
    /// - Throws: ``DescentError`` for rates, decays and groups out of range.
    init(_ optimizer: any Optimizer, for layout: ParameterLayout) throws(DescentError) {
        self.optimizer = optimizer
        rates = try ResolvedRates(optimizer, layout: layout)
    }

    /// The learning rate of parameters that are in no group.
    func learningRate(at appliedSteps: Int) -> Float { rates.learningRate(at: appliedSteps) }

    /// Makes ready for the step that follows so many applied ones.
    ///
    /// - Returns: Why the step is to be skipped: a rate that is not finite; nil if there is none.
    mutating func prepare(appliedSteps: Int) -> SkipReason? {
        optimizer.prepare(appliedSteps: appliedSteps)
        guard let problem = rates.resolve(appliedSteps: appliedSteps) else { return nil }
        return SkipReason(.nonFiniteSetting, stage: optimizer.name, problem)
    }

    /// Tells an optimizer that proposes updates how large they are.
    mutating func prepareUpdate(updateNorms: [Double], parameterNorms: [Double]) {
        optimizer.prepareUpdate(updateNorms: updateNorms, parameterNorms: parameterNorms)
    }
}
