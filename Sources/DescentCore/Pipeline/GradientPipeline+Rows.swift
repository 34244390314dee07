// What checkpoints of several processes need besides the public calls.

extension GradientPipeline {
    /// Which rows this process would work on, if a pipeline were built so; nil for all.
    ///
    /// - Parameters:
    ///   - layout: The parameters.
    ///   - configuration: How the pipeline runs.
    ///   - stages: The chain.
    ///   - branches: What ends the chain.
    /// - Returns: The rows of every process.
    /// - Throws: ``DescentError``, as building the pipeline does.
    package static func division(
        of layout: ParameterLayout, _ configuration: PipelineConfiguration, _ stages: [any Stage],
        driving branches: [OptimizerBranch]
    ) throws(DescentError) -> RowDivision? {
        guard let exchange = configuration.sharding?.exchange, exchange.exchanged.contains(.rows) else { return nil }
        let keepsMasters = configuration.lowPrecisionParameters == .masterCopies
        let composition = Composition(stages: stages, branches: branches, keepsMasters: keepsMasters)
        let elements = try PipelineElements(stages, branches)
        var parts = EngineParts(elements, sharing: exchange)
        var nothing = Resumption<Backend.Tensors>(ofNothing: composition.kinds.count)
        try parts.configure(for: layout, resuming: &nothing)
        return try EngineDesign(composition, elements, parts, for: layout, configuration).division
    }

    /// Gives the numbers of all processes that share rows, in their order, between steps.
    ///
    /// - Parameter values: As many numbers on each.
    /// - Returns: The numbers of each.
    /// - Throws: ``DescentError`` if processes have lost step with each other.
    package func gather(_ values: [Double]) throws(DescentError) -> [[Double]] {
        guard engine.sharesRows, let exchange = engine.exchange else { return [values] }
        let all = exchange.gather(values)
        try exchange.requireGathered()
        return all
    }
}
