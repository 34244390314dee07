import Descent

/// A chain that is measured.
enum BenchmarkChain: String, CaseIterable, Sendable {
    /// Unscale with the check that all is finite, centralize, clip by the global norm, AdamW.
    case full
    /// The same with three more stages that clip norms.
    case fullWithNorms = "full+norms"
    /// Clip by the global norm, SGD with momentum.
    case clip
    /// Four micro-batches, then `full`.
    case accumulate
    /// `full` from gradients of Float16.
    case half
    /// `full` from gradients that lie transposed.
    case transposed
    /// `full` with parameters that are written to other memory.
    case elsewhere
    /// `full` with parameters of bfloat16 that have float32 masters.
    case masters
    /// `full` with parameters of bfloat16 that are rounded at random.
    case rounding
    /// Unscale, clip by value, clip by the global norm, AdamW.
    case value
    /// The same with a custom stage that clips by value.
    case ownValue = "own-value"
    /// Unscale, clip each tensor by its norm, clip by the global norm, AdamW.
    case norm
    /// The same with a custom stage that clips tensors by their norms.
    case ownNorm = "own-norm"

    /// The chains that are measured unless others are asked for.
    static let usual: [BenchmarkChain] = [.full, .fullWithNorms, .clip, .accumulate, .half]

    /// What AdamW is set to; the peers of the comparison are set to the same.
    static let adam = AdamW(learningRate: 0.001, weightDecay: 0.01)
    /// What SGD is set to.
    static let descent = SGD(learningRate: 0.01, momentum: 0.9)
    /// What elements are clipped to.
    static let limit: Float = 0.01
    /// How many micro-batches a window of `accumulate` has.
    static let windowLength = 4

    /// How many calls of `step` it takes to update the parameters once.
    var microBatchCount: Int { self == .accumulate ? Self.windowLength : 1 }
    /// How gradients are stored.
    var gradientType: ElementType { self == .half ? .float16 : .float32 }
    /// The chain that its time is also compared with, in turns.
    var rival: BenchmarkChain? {
        switch self {
        case .fullWithNorms, .half, .transposed, .elsewhere, .masters, .rounding: .full
        case .ownValue: .value
        case .ownNorm: .norm
        case .full, .clip, .accumulate, .value, .norm: nil
        }
    }

    /// How parameters are stored.
    var parameterType: ElementType { self == .masters || self == .rounding ? .bfloat16 : .float32 }
    /// What is said of parameters that are not float32.
    var configuration: PipelineConfiguration {
        switch self {
        case .masters: PipelineConfiguration(lowPrecisionParameters: .masterCopies)
        case .rounding: PipelineConfiguration(lowPrecisionParameters: .stochasticRounding)
        default: PipelineConfiguration()
        }
    }

    /// The pipeline of this chain.
    func pipeline(for parameters: TensorSet, on backend: SIMDBackend) throws -> Pipeline {
        try Pipeline(for: parameters, configuration: configuration, on: backend) {
            if self == .accumulate { Accumulate(steps: Self.windowLength) }
            if self != .clip { Unscale(.dynamic()) }
            switch self {
            case .clip: []
            case .full, .accumulate, .half, .transposed, .elsewhere, .masters, .rounding: Centralize()
            case .fullWithNorms:
                Centralize()
                ClipByNorm(1)
                ClipLayerwise(default: 1)
                ClipByGlobalNorm(2)
            case .value: ClipByValue(Self.limit)
            case .ownValue: OwnClipByValue(limit: Self.limit)
            case .norm: ClipByNorm(1)
            case .ownNorm: OwnClipByNorm(maximum: 1)
            }
            ClipByGlobalNorm(1)
        } driving: {
            self == .clip ? Self.descent as any Optimizer : Self.adam
        }
    }
}
