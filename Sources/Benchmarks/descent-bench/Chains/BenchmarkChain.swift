import Descent

/// A chain that is measured: stages, an optimizer, and how tensors are stored.
struct BenchmarkChain: Sendable {
    /// Where gradients or parameters lie, where that is what is measured.
    enum Placement {
        /// Both in order, and parameters are changed in place.
        case usual
        /// Gradients with their columns as rows.
        case transposed
        /// Parameters are written to other memory.
        case elsewhere
    }

    /// What a chain is compared with as the fastest that it could be.
    enum RooflineKind: Equatable {
        /// Bare passes of the library's kernels, for one slot of SGD or two of Adam.
        case kernels(isAdam: Bool)
        /// Passes that do nothing but read and write as many bytes as the plan does.
        case bytes
    }

    /// What it is asked for by.
    let name: String
    /// What it does, in a few words.
    let summary: String
    /// The chain that its time is also compared with, in turns.
    var rival: String?
    /// How many calls of `step` it takes to update the parameters once.
    var microBatchCount = 1
    /// How gradients are stored.
    var gradientType = ElementType.float32
    /// How parameters are stored.
    var parameterType = ElementType.float32
    /// Where tensors lie.
    var placement = Placement.usual
    /// Whether gradients are as large as a loss scale makes them.
    var hasScaledGradients = true
    /// How the pipeline runs.
    var configuration = PipelineConfiguration()
    /// What it is compared with.
    var roofline = RooflineKind.kernels(isAdam: true)
    /// Makes the stages, in the order in which gradients flow.
    let stages: @Sendable () -> [any Stage]
    /// Makes what ends the chain.
    let optimizer: @Sendable () -> any Driving

    /// All chains: those for stages around one optimizer, then every optimizer and stage.
    static let all = full + every
    /// The chains that are measured unless others are asked for.
    static let usual = ["full", "full+norms", "clip", "accumulate", "half"].map(existing)

    /// The chain of a name.
    init?(named name: String) {
        guard let chain = Self.all.first(where: { $0.name == name }) else { return nil }
        self = chain
    }

    /// The chain of a name that the program itself uses.
    static func existing(_ name: String) -> BenchmarkChain {
        guard let chain = BenchmarkChain(named: name) else { preconditionFailure("There is no chain \"\(name)\".") }
        return chain
    }

    /// A chain with settings as usual.
    init(
        _ name: String, _ summary: String, @ChainBuilder _ stages: @escaping @Sendable () -> [any Stage],
        driving optimizer: @escaping @Sendable () -> any Driving
    ) {
        (self.name, self.summary) = (name, summary)
        (self.stages, self.optimizer) = (stages, optimizer)
    }

    /// The same with some settings changed.
    func with(_ change: (inout BenchmarkChain) -> Void) -> BenchmarkChain {
        var chain = self
        change(&chain)
        return chain
    }

    /// The pipeline of this chain.
    func pipeline(for parameters: TensorSet, on backend: SIMDBackend) throws -> Pipeline {
        try Pipeline(for: parameters, configuration: configuration, on: backend) {
            stages()
        } driving: {
            optimizer()
        }
    }
}
