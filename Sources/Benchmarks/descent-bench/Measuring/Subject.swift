import Descent

/// What is measured: the pipeline of one chain over one workload, with the tensors that it works on.
struct Subject {
    let workload: Workload
    let chain: BenchmarkChain
    let backend: SIMDBackend
    private(set) var pipeline: Pipeline
    private(set) var parameters: TensorSet
    let gradients: TensorSet
    /// The same, where they lie transposed.
    private let transposed: TransposedGradients?
    /// Other memory for parameters, taken in turns with the first.
    private var others: TensorSet?
    /// Parameters in float32, where the pipeline's are not.
    private let wideParameters: TensorSet?

    /// Makes tensors and the pipeline.
    init(_ workload: Workload, _ chain: BenchmarkChain, on backend: SIMDBackend) throws {
        self.workload = workload
        self.chain = chain
        self.backend = backend
        let layout = try workload.layout
        parameters = TensorSet(zeros: layout, chain.parameterType)
        wideParameters = chain.parameterType == .float32 ? nil : TensorSet(zeros: layout)
        others = chain.placement == .elsewhere ? TensorSet(zeros: layout) : nil
        SampleNumbers.parameters.fill(&parameters)
        var gradients = TensorSet(zeros: layout, chain.gradientType)
        (chain.hasScaledGradients ? SampleNumbers.gradients : .unscaledGradients).fill(&gradients)
        self.gradients = gradients
        transposed = chain.placement == .transposed ? TransposedGradients(gradients) : nil
        pipeline = try chain.pipeline(for: parameters, on: backend)
    }

    /// Parameters for bare passes, which are in float32.
    var float32Parameters: TensorSet { wideParameters ?? parameters }

    /// Updates the parameters once; with micro-batches, all of a window are the same gradients.
    mutating func step() throws -> StepTime {
        var time = StepTime()
        for microBatch in 1...chain.microBatchCount {
            let start = ContinuousClock.now
            let outcome = try takeStep()
            time.add(ContinuousClock.now - start, microBatch: microBatch, of: chain.microBatchCount)
            let isLast = microBatch == chain.microBatchCount
            guard outcome.isApplied == isLast else { throw UnexpectedOutcome(outcome: outcome) }
        }
        return time
    }
}

extension Subject {
    private mutating func takeStep() throws -> StepOutcome {
        if var updated = others {
            others = nil
            let outcome = try pipeline.step(parameters, into: &updated, gradients: gradients)
            (parameters, others) = (updated, parameters)
            return outcome
        }
        guard let transposed else { return try pipeline.step(&parameters, gradients: gradients) }
        return try parameters.withUnsafeTensors { (parameters) throws(DescentError) in
            try pipeline.step(unsafeParameters: parameters, unsafeGradients: transposed.tensors)
        }
    }
}

/// A step that did not end as it was meant to.
struct UnexpectedOutcome: Error, CustomStringConvertible {
    let outcome: StepOutcome

    var description: String { "a step ended with \(outcome)" }
}
