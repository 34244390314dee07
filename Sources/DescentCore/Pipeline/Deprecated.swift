// Calls as they were before they were renamed; they go with the first release.

@available(*, deprecated, renamed: "StepResult")
public typealias StepConclusion = StepResult

extension ResumptionPolicy {
    @available(*, deprecated, renamed: "matchingStages")
    public static var keepWhatFits: ResumptionPolicy { .matchingStages }
}

extension GradientPipeline {
    @available(*, deprecated, message: "use configuration: PipelineConfiguration(nonFinite:parameterCopy:reporting:)")
    @_disfavoredOverload public init(
        for parameters: Backend.Tensors, nonFinite: NonFinitePolicy = .skip, parameterCopy: ElementType? = nil,
        reporting: ReportOptions = [], on backend: Backend = Backend(),
        @ChainBuilder _ stages: () -> [any Stage] = { [] }, @DrivingBuilder driving optimizers: () -> [OptimizerBranch]
    ) throws(DescentError) {
        let configuration = PipelineConfiguration(
            nonFinite: nonFinite, parameterCopy: parameterCopy, reporting: reporting)
        try self.init(for: parameters, configuration: configuration, on: backend, stages, driving: optimizers)
    }
}

extension GradientChain {
    @available(*, deprecated, message: "use configuration: PipelineConfiguration(nonFinite:)")
    public init(
        for layout: ParameterLayout, nonFinite: NonFinitePolicy, on backend: Backend = Backend(),
        @ChainBuilder _ stages: () -> [any Stage]
    ) throws(DescentError) {
        try self.init(for: layout, configuration: PipelineConfiguration(nonFinite: nonFinite), on: backend, stages)
    }
}
