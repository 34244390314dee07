import DescentCore

/// What a pipeline is made of.
struct PipelineParts {
    /// How many steps may allocate before no other does.
    private static let warmUp = 40

    let stages: [any Stage]
    let optimizer: any Driving

    /// What the steps of a case allocate on this thread, after some to warm up.
    ///
    /// - Throws: What the pipeline throws.
    func allocations(
        _ example: Case, _ layout: ParameterLayout, on backend: some TensorBackend
    ) throws -> AllocationCount {
        let access = TensorAccess(backend, layout)
        var parameters = access.tensors(example.parameters(of: layout))
        let gradients = (0..<4).map { access.tensors(example.gradients(step: $0, of: layout)) }
        var pipeline = try GradientPipeline(for: parameters, on: backend, { stages }, driving: { optimizer })
        func run(_ steps: Int) throws {
            for step in 0..<steps { _ = try pipeline.step(&parameters, gradients: gradients[step % 4]) }
        }
        try run(Self.warmUp)
        return try AllocationCount { try run(example.steps) }
    }
}
