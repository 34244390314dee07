import Descent

extension BenchmarkChain {
    /// What AdamW is set to; the peers of the comparison are set to the same.
    static let adam = AdamW(learningRate: 0.001, weightDecay: 0.01)
    /// What SGD is set to.
    static let descent = SGD(learningRate: 0.01, momentum: 0.9)
    /// What elements are clipped to.
    static let limit: Float = 0.01
    /// How many micro-batches a window of `accumulate` has.
    static let windowLength = 4

    /// Chains in front of AdamW, most of them `full`: unscale with the check that all is finite, centralize, clip by the
    /// global norm.
    static let full: [BenchmarkChain] = [
        fullChain("full", "unscale and check, centralize, clip by global norm, AdamW"),
        inFrontOfAdam("full+norms", "full with three more norm clips") {
            Centralize()
            ClipByNorm(1)
            ClipLayerwise(default: 1)
            ClipByGlobalNorm(2)
        }.with { $0.rival = "full" },
        BenchmarkChain("clip", "clip by global norm, SGD with momentum") {
            ClipByGlobalNorm(1)
        } driving: {
            descent
        }.with { $0.roofline = .kernels(isAdam: false) },
        BenchmarkChain("accumulate", "four micro-batches, then full; times are for a whole window") {
            Accumulate(steps: windowLength)
            Unscale(.dynamic())
            Centralize()
            ClipByGlobalNorm(1)
        } driving: {
            adam
        }.with { $0.microBatchCount = windowLength },
        variant("half", "full, from Float16 gradients") { $0.gradientType = .float16 },
        eightBits("int8", "full, with moments in codes of 8 bits"),
        eightBits("half+int8", "full, from Float16 gradients, with moments in codes of 8 bits").with {
            $0.gradientType = .float16
        },
        variant("transposed", "full, from gradients that lie with their columns as rows") {
            $0.placement = .transposed
        },
        variant("elsewhere", "full, with updated parameters written to other memory") { $0.placement = .elsewhere },
        variant("masters", "full, with parameters in bfloat16 and float32 masters") {
            $0.parameterType = .bfloat16
            $0.configuration = PipelineConfiguration(lowPrecisionParameters: .masterCopies)
        },
        variant("rounding", "full, with parameters in bfloat16 that are rounded at random") {
            $0.parameterType = .bfloat16
            $0.configuration = PipelineConfiguration(lowPrecisionParameters: .stochasticRounding)
        },
        inFrontOfAdam("value", "unscale and check, clip by value, clip by global norm, AdamW") { ClipByValue(limit) },
        inFrontOfAdam("own-value", "the same with a stage that is not the library's") { OwnClipByValue(limit: limit) }
            .with { $0.rival = "value" },
        inFrontOfAdam("norm", "unscale and check, clip each tensor by norm, clip by global norm, AdamW") {
            ClipByNorm(1)
        },
        inFrontOfAdam("own-norm", "the same with a stage that is not the library's") { OwnClipByNorm(maximum: 1) }
            .with { $0.rival = "norm" },
    ]

    /// `full` with smaller moments.
    private static func eightBits(_ name: String, _ summary: String) -> BenchmarkChain {
        inFrontOfAdam(name, summary, AdamW(learningRate: 0.001, weightDecay: 0.01, moments: .int8)) { Centralize() }
            .with {
                $0.rival = "full"
                $0.roofline = .bytes
            }
    }

    /// Stages between unscaling and clipping, in front of AdamW.
    private static func inFrontOfAdam(
        _ name: String, _ summary: String, _ adam: AdamW = adam,
        @ChainBuilder _ stages: @escaping @Sendable () -> [any Stage]
    ) -> BenchmarkChain {
        BenchmarkChain(name, summary) {
            Unscale(.dynamic())
            stages()
            ClipByGlobalNorm(1)
        } driving: {
            adam
        }
    }

    private static func fullChain(_ name: String, _ summary: String) -> BenchmarkChain {
        inFrontOfAdam(name, summary) { Centralize() }
    }

    /// `full` over tensors that are stored in another way.
    private static func variant(
        _ name: String, _ summary: String, _ change: (inout BenchmarkChain) -> Void
    ) -> BenchmarkChain {
        fullChain(name, summary).with {
            $0.rival = "full"
            change(&$0)
        }
    }
}
