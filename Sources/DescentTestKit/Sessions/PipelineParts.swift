import DescentCore

/// What a pipeline is made of.
struct PipelineParts {
    /// How many steps may allocate before no other does.
    private static let warmUp = 40

    let stages: [any GradientTransform]
    let optimizer: any Optimizer

    /// How often the steps of a case allocate memory on this thread, after some to warm up.
    ///
    /// - Throws: What the pipeline throws.
    func allocations(
        _ example: Case, _ layout: ParameterLayout, on backend: some TensorBackend
    ) throws -> Int {
        let access = TensorAccess(backend, layout)
        var parameters = access.tensors(example.parameters(of: layout))
        let gradients = (0..<4).map { access.tensors(example.gradients(step: $0, of: layout)) }
        var pipeline = try GradientPipeline(for: parameters, on: backend, { stages }, driving: { optimizer })
        func allocations(inSteps count: Int) throws -> Int {
            let before = AllocationCount.current ?? 0
            for step in 0..<count { _ = try pipeline.step(&parameters, gradients: gradients[step % 4]) }
            return (AllocationCount.current ?? 0) - before
        }
        _ = try allocations(inSteps: Self.warmUp)
        return try allocations(inSteps: example.steps)
    }
}
