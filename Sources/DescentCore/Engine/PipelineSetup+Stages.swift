extension PipelineSetup {
    /// Describes what a pipeline is made of.
    ///
    /// - Parameters:
    ///   - stages: The stages, as they were before they were configured. Of a window and of an exchange only the type
    ///     counts, since windows may hold a different number of micro-batches on each process.
    ///   - optimizer: What ends the chain.
    ///   - configuration: Of which what concerns the outcome of steps is described.
    public init(stages: [any Stage], optimizer: (any Optimizer)?, configuration: PipelineConfiguration) {
        var components = stages.map { stage in
            switch stage.element {
            case .window, .exchange: Component("\(type(of: stage))")
            case .transform, .freeze: Component(stage.name, describing: stage)
            }
        }
        if let optimizer { components.append(Component(optimizer.name, describing: optimizer)) }
        components.append(Component("nonFinite policy", describing: configuration.nonFinite))
        self.init(components)
    }
}
