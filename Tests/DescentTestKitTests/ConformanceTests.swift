import Descent
import DescentTestKit
import TestSupport
import Testing

/// Everything that the package itself has keeps the rules that it asks others to keep.
@Suite struct ConformanceTests {
    static let transforms: [any GradientTransform] = [
        Centralize(),
        ClipAdaptively(factor: 0.5),
        ClipByGlobalNorm(1),
        ClipByGlobalNorm(1, norm: .lp(3)),
        ClipByNorm(0.5),
        ClipByPercentile(50, historyLength: 3),
        ClipByValue(0.5),
        ClipByZScore(threshold: 0.5, decay: 0.5, warmup: 2),
        ClipLayerwise(default: 0.5, layers: ["head": 0.1]),
        Mask(prefix: "head."),
        Normalize(),
        Scale(by: .exponential(initial: 1, rate: 0.5, transitionSteps: 3)),
        Unscale(.static(1024)),
        Unscale(.dynamic(growthInterval: 2)),
        Unscale(.adaptive()),
        ZeroNonFinite(),
        ClipByGlobalNorm(0.5).only { $0.name.hasPrefix("head.") },
        Squash(), UnitNorm(), Smooth(decay: 0.5),
        Cautious(), TrustRatio(maximum: 2), TopK(share: 0.3),
    ]

    static let optimizers: [any Driving] = [
        SGD(learningRate: 0.1, weightDecay: 0.1),
        SGD(learningRate: 0.1, momentum: 0.9, dampening: 0.5, maximize: true),
        SGD(learningRate: 0.1, momentum: 0.9, nesterov: true),
        AdamW(learningRate: 0.1, groups: [.vectorsWithoutDecay]),
        AdamW(learningRate: .warmupCosine(peak: 0.1, warmup: 2, total: 5), amsgrad: true),
        AdamW(moments: .bfloat16),
        Adam(learningRate: 0.1, weightDecay: 0.1),
        RMSProp(learningRate: 0.1, momentum: 0.5),
        Adagrad(learningRate: 0.1),
        Lion(learningRate: 0.1),
        LAMB(learningRate: 0.1, weightDecay: 0.1),
        Adadelta(weightDecay: 0.1),
        Adamax(learningRate: 0.1),
        NAdam(learningRate: 0.1, weightDecay: 0.1, decouplesWeightDecay: true),
        RAdam(learningRate: 0.1, beta2: 0.9, weightDecay: 0.1),
        AdaBelief(learningRate: 0.1),
        Yogi(learningRate: 0.1),
        NovoGrad(learningRate: 0.1, weightDecay: 0.1),
        AdEMAMix(learningRate: 0.1, warmup: 3),
        LARS(learningRate: 1, weightDecay: 0.1),
        Adafactor(learningRate: 0.1, weightDecay: 0.1),
        ScheduleFreeAdamW(learningRate: Schedule.warmupCosine(peak: 0.1, warmup: 2, total: 5)),
        LAMB(learningRate: 0.1).averagingParameters(decay: 0.5),
        SGD(learningRate: 0.1, momentum: 0.9).lookingAhead(synchronizationPeriod: 2),
        SignSGD(learningRate: 0.1),
        SGD(learningRate: 0.1, momentum: 0.9).then {
            ClipByNorm(0.5); Cautious(); ExponentialMovingAverage(decay: 0.5)
        },
    ]

    @Test(arguments: transforms.indices) func `a built-in transform keeps the rules`(_ index: Int) {
        verify(Self.transforms[index])
    }

    @Test func `stages and optimizers give the same over another backend`() {
        verify(Smooth(decay: 0.5), on: PlainBackend())
        verify(Centralize(), on: PlainBackend())
        verify(AdamW(learningRate: 0.1), on: PlainBackend())
    }

    @Test func `noise keeps the rules but for depending on a tensor's place`() {
        verify(AddNoise(seed: 7), declaring: .dependsOnTensorOrder)
    }

    @Test(arguments: optimizers.indices) func `a built-in optimizer keeps the rules`(_ index: Int) {
        verify(Self.optimizers[index])
    }

    @Test func `a centered RMSProp keeps the rules but for making NaN of squares that overflow`() {
        verify(RMSProp(learningRate: 0.1, centered: true), declaring: .makesNaN)
    }

    @Test func `the default backend keeps the rules`() {
        verify(SIMDBackend(threads: 1, blockLength: 64)) {
            SIMDBackend(threads: $0, blockLength: 64, elementsPerThread: 64)
        }
    }

    @Test(arguments: InstructionSet.allCases.filter(\.isAvailable)) func `so it does with all its kernels`(
        _ instructionSet: InstructionSet
    ) {
        verify(SIMDBackend(threads: 1, instructionSet: instructionSet))
    }

    @Test func `the plain backend keeps the rules`() {
        verify(PlainBackend(), declaring: .allocates)
    }
}
