// How a pipeline goes on with other parameters.

extension GradientPipeline {
    /// Goes on with other parameters: some were added, removed, put in another order or given another shape.
    ///
    /// ```swift
    /// try pipeline.relayout(for: grown)
    /// ```
    /// Stages, optimizers and their settings are the same, and are checked and planned anew. Parameters of the same name and
    /// shape keep their slots, averages and counts of updates; others begin as if it were their first step. Counters,
    /// schedules, observers and what stages remember go on. To freeze parameters or thaw them, change the selection of
    /// `Freeze` with `change(Freeze.self) { … }`.
    ///
    /// - Parameter parameters: The parameters from now on.
    /// - Throws: ``DescentError`` with code `openWindow` while a window is open, whose sum is that of other parameters,
    ///   `incompleteMicroBatch` while gradients arrive one by one, and what building a pipeline throws. The pipeline is as it
    ///   was then.
    public mutating func relayout(for parameters: Backend.Tensors) throws(DescentError) {
        try engine.requireTrainable(parameters)
        try engine.relayout(to: parameters.layout)
        engine.makeUnique()
        engine.startFollowersOfNewcomers(.init(parameters: parameters))
        if engine.counters.appliedSteps > 0 { engine.startAverageOfFrozen(.init(parameters: parameters)) }
        try engine.copyParameters(parameters)
    }
}

extension GradientChain {
    /// Goes on with other gradients, as ``GradientPipeline/relayout(for:)`` does.
    ///
    /// - Parameter layout: Their names and shapes.
    /// - Throws: ``DescentError`` with code `openWindow` while a window is open, and what building a chain throws. The chain
    ///   is as it was then.
    public mutating func relayout(for layout: ParameterLayout) throws(DescentError) {
        try engine.relayout(to: layout)
    }
}
