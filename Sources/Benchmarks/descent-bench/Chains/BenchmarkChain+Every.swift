import Descent

extension BenchmarkChain {
    /// Every optimizer and every stage of the library, each behind or beside `ClipByGlobalNorm(1)` unless its name says
    /// otherwise, and each compared with `adamw`.
    ///
    /// It is the one list of them: what `--chain` knows, what `--help` says and what `--every` measures come from it.
    static let every: [BenchmarkChain] = (optimizers + stagesInFront + norms + behind + storage).map { chain in
        chain.with {
            $0.rival = chain.name == plain ? nil : plain
            $0.roofline = .bytes
            $0.hasScaledGradients = false
        }
    }

    /// The chain that all of them are compared with.
    static let plain = "adamw"

    // Rates that multiply a parameter's own norm are small: gradients are the same in each step, and parameters that grow
    // in proportion to themselves would overflow.
    private static let optimizers: [BenchmarkChain] = [
        clipped("adamw", "AdamW") { adam },
        clipped("adamw-amsgrad", "AdamW with the largest second moment so far") { AdamW(amsgrad: true) },
        clipped("adam", "Adam") { Adam() },
        clipped("nadam", "NAdam") { NAdam() },
        clipped("radam", "RAdam") { RAdam() },
        clipped("adamax", "Adamax") { Adamax() },
        clipped("adabelief", "AdaBelief") { AdaBelief() },
        clipped("yogi", "Yogi") { Yogi() },
        clipped("ademamix", "AdEMAMix") { AdEMAMix() },
        clipped("novograd", "NovoGrad") { NovoGrad() },
        clipped("schedule-free-adamw", "ScheduleFreeAdamW") { ScheduleFreeAdamW() },
        clipped("adafactor", "Adafactor, which works on whole tensors") { Adafactor(learningRate: 0.0001) },
        clipped("lamb", "LAMB") { LAMB(learningRate: 0.00001) },
        clipped("lars", "LARS") { LARS(learningRate: 0.01) },
        clipped("lion", "Lion") { Lion() },
        clipped("adagrad", "Adagrad") { Adagrad() },
        clipped("adadelta", "Adadelta") { Adadelta() },
        clipped("rmsprop", "RMSProp") { RMSProp(learningRate: 0.001) },
        clipped("rmsprop-momentum", "RMSProp with momentum") { RMSProp(learningRate: 0.001, momentum: 0.9) },
        clipped("rmsprop-centered", "RMSProp with the mean of the gradient") {
            RMSProp(learningRate: 0.001, centered: true)
        },
        clipped("sgd", "SGD") { SGD(learningRate: 0.01) },
        clipped("sgd-momentum", "SGD with momentum") { descent },
        clipped("sgd-nesterov", "SGD with momentum by Nesterov") {
            SGD(learningRate: 0.01, momentum: 0.9, nesterov: true)
        },
    ]

    private static let stagesInFront: [BenchmarkChain] = [
        inFront("unscale", "unscale and check") { Unscale(.static(1)) },
        inFront("centralize", "centralize") { Centralize() },
        inFront("normalize", "normalize") { Normalize() },
        inFront("scale", "scale") { Scale(by: 0.5) },
        inFront("clip-by-value", "clip by value") { ClipByValue(limit) },
        inFront("clip-by-norm", "clip each tensor by norm") { ClipByNorm(1) },
        inFront("clip-layerwise", "clip each layer by norm") { ClipLayerwise(default: 1) },
        inFront("clip-adaptively", "clip rows by the norms of the parameters' rows") { ClipAdaptively() },
        inFront("clip-by-percentile", "clip by a percentile of earlier norms") { ClipByPercentile(10) },
        inFront("clip-by-z-score", "clip by how unusual the norm is") { ClipByZScore() },
        inFront("zero-non-finite", "set what is not finite to zero") { ZeroNonFinite() },
        inFront("noise", "add noise") { AddNoise(seed: 7) },
        inFront("mask", "pass every other matrix") { Mask(everyOther) },
        inFront("freeze", "leave every other matrix out") { Freeze(everyOther) },
        inFront("top-k", "pass a hundredth of each tensor, which is worked on whole") { TopK(share: 0.01) },
    ]

    private static let norms: [BenchmarkChain] = [
        byNorm("l1", .l1), byNorm("l3", .lp(3)), byNorm("p2.5", .lp(2.5)), byNorm("max", .lInfinity),
        BenchmarkChain("\(plain)-alone", "AdamW and nothing else") {
        } driving: {
            adam
        },
        BenchmarkChain("clip-adaptively-alone", "clip rows by the norms of the parameters' rows, AdamW") {
            ClipAdaptively()
        } driving: {
            adam
        },
    ]

    private static let behind: [BenchmarkChain] = [
        clipped("averaging", "AdamW, and an average of the parameters") { adam.averagingParameters(decay: 0.999) },
        clipped("lookahead", "AdamW, going back halfway every six steps") { adam.lookingAhead() },
        clipped("cautious", "AdamW, where the update agrees with the gradient") { adam.then { Cautious() } },
        clipped("trust-ratio", "AdamW, scaled by the norms of parameters and updates") {
            AdamW(learningRate: 0.00001).then { TrustRatio() }
        },
    ]

    private static let storage: [BenchmarkChain] = [
        clipped("adamw+bfloat16", "AdamW with moments in bfloat16") { AdamW(moments: .bfloat16) },
        clipped("adamw+int8", "AdamW with moments in codes of 8 bits") { AdamW(moments: .int8) },
        clipped("lion+bfloat16", "Lion with its moment in bfloat16") { Lion(moments: .bfloat16) },
        clipped("sgd-momentum+bfloat16", "SGD with momentum, kept in bfloat16") {
            SGD(learningRate: 0.01, momentum: 0.9, moments: .bfloat16)
        },
        configured("half-gradients", "AdamW, from Float16 gradients") { $0.gradientType = .float16 },
        configured("copy", "AdamW, with a second copy of the parameters in bfloat16") {
            $0.configuration = PipelineConfiguration(parameterCopy: .bfloat16)
        },
        configured("masters", "AdamW, with parameters in bfloat16 and float32 masters") {
            $0.parameterType = .bfloat16
            $0.configuration = PipelineConfiguration(lowPrecisionParameters: .masterCopies)
        },
        configured("rounding", "AdamW, with parameters in bfloat16 that are rounded at random") {
            $0.parameterType = .bfloat16
            $0.configuration = PipelineConfiguration(lowPrecisionParameters: .stochasticRounding)
        },
        configured("layer-norms", "AdamW, with the norm of each layer in reports") {
            $0.configuration = PipelineConfiguration(reporting: .layerNorms)
        },
        configured("update-ratio", "AdamW, with the ratio of update and parameters in reports") {
            $0.configuration = PipelineConfiguration(reporting: .updateRatio)
        },
    ]

    /// About half of a workload's tensors, by their names.
    private static let everyOther = ParameterSelection.satisfying { parameter in
        parameter.name.utf8.reduce(0) { $0 + Int($1) }.isMultiple(of: 2)
    }

    /// An optimizer behind the clip.
    private static func clipped(
        _ name: String, _ summary: String, _ optimizer: @escaping @Sendable () -> any Driving
    ) -> BenchmarkChain {
        BenchmarkChain(name, summary, { ClipByGlobalNorm(1) }, driving: optimizer)
    }

    /// A stage in front of the clip.
    private static func inFront(
        _ name: String, _ summary: String, _ stage: @escaping @Sendable () -> any Stage
    ) -> BenchmarkChain {
        BenchmarkChain("\(plain)+\(name)", "\(summary), then clip, AdamW") {
            stage()
            ClipByGlobalNorm(1)
        } driving: {
            adam
        }
    }

    /// Another norm in place of L2.
    private static func byNorm(_ name: String, _ norm: Norm) -> BenchmarkChain {
        BenchmarkChain("clip-\(name)", "clip by the global norm \(norm), AdamW") {
            ClipByGlobalNorm(1, norm: norm)
        } driving: {
            adam
        }
    }

    /// AdamW over tensors that are stored in another way, or in a pipeline with other settings.
    private static func configured(
        _ name: String, _ summary: String, _ change: (inout BenchmarkChain) -> Void
    ) -> BenchmarkChain {
        clipped("\(plain)+\(name)", summary) { adam }.with(change)
    }
}
