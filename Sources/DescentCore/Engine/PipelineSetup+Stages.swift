extension PipelineSetup {
    /// Describes what a pipeline is made of.
    ///
    /// - Parameters:
    ///   - stages: The stages, as they were before they were configured. Of a window and of an exchange only the type
    ///     counts, since windows may hold a different number of micro-batches on each process.
    ///   - branches: What ends the chain.
    ///   - configuration: Of which what concerns the outcome of steps is described.
    public init(stages: [any Stage], branches: [OptimizerBranch], configuration: PipelineConfiguration) {
        var components = stages.map { stage in
            switch stage.element {
            case .window, .exchange: Component("\(type(of: stage))")
            case .transform, .freeze, .follower: Component(stage.name, describing: stage)
            }
        }
        for branch in branches {
            components.append(Component(branch.optimizer.name, describing: branch.optimizer))
            if let selection = branch.selection {
                components.append(Component("\(branch.optimizer.name).only", describing: selection))
            }
            components += branch.stages.map { Component($0.name, describing: $0) }
        }
        components.append(Component("nonFinite policy", describing: configuration.nonFinite))
        if configuration.sharding != nil {
            // What rows of the copy move as.
            components.append(Component("parameterCopy", describing: configuration.parameterCopy as Any))
        }
        self.init(components)
    }
}
