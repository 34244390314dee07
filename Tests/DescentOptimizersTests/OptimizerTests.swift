import Descent
import DescentCore
import TestSupport
import Testing

/// What optimizers have in common: their settings, their kernels, and what they keep.
@Suite struct OptimizerTests {
    // MARK: Settings

    // Apart from one another, because the compiler takes long for sums of long lists.
    private static let withRates: [any Driving] =
        [-1, -.leastNonzeroMagnitude, .nan, .infinity].flatMap { (value: Float) -> [any Driving] in
            let rate = Schedule.constant(Double(value))
            return [
                SGD(learningRate: rate), Adam(learningRate: rate), AdamW(learningRate: rate),
                RMSProp(learningRate: rate), Adagrad(learningRate: rate), Lion(learningRate: rate),
                LAMB(learningRate: rate), Adam(epsilon: value), AdamW(epsilon: value), RMSProp(epsilon: value),
                Adagrad(epsilon: value), LAMB(epsilon: value),
                Adam(learningRate: rate).averagingParameters(decay: 0.5), Lion(learningRate: rate).lookingAhead(),
                SGD(learningRate: 1, momentum: Double(value)), RMSProp(momentum: Double(value)),
                Adadelta(learningRate: rate), Adamax(learningRate: rate), NAdam(learningRate: rate),
                RAdam(learningRate: rate), AdaBelief(learningRate: rate), Yogi(learningRate: rate),
                NovoGrad(learningRate: rate), AdEMAMix(learningRate: rate), ScheduleFreeAdamW(learningRate: rate),
                Adadelta(epsilon: value), Adamax(epsilon: value), NAdam(epsilon: value), RAdam(epsilon: value),
                AdaBelief(epsilon: value), Yogi(epsilon: value), NovoGrad(epsilon: value), AdEMAMix(epsilon: value),
                ScheduleFreeAdamW(epsilon: value), AdaBelief(epsilonRoot: value), Yogi(initialAccumulator: value),
                NAdam(momentumDecay: Double(value)), Adafactor(learningRate: rate),
                Adafactor(epsilon1: Double(value)), Adafactor(epsilon2: Double(value)),
                Adafactor(clipThreshold: Double(value)),
                LARS(learningRate: rate),
                LARS(learningRate: 1, momentum: Double(value)), LARS(learningRate: 1, trustCoefficient: Double(value)),
            ]
        }

    private static let withBetas: [any Driving] =
        [-0.1, 1, 1.5, .nan, .infinity].flatMap { (value: Double) -> [any Driving] in
            [
                Adam(beta1: value), Adam(beta2: value), AdamW(beta1: value),
                AdamW(beta2: value), RMSProp(alpha: value), Lion(beta1: value),
                Lion(beta2: value), LAMB(beta1: value), LAMB(beta2: value),
                SGD(learningRate: 1).averagingParameters(decay: value),
                Adam(beta1: value).averagingParameters(decay: 0.5), Lion(beta2: value).lookingAhead(),
                Adadelta(rho: value), Adamax(beta1: value), Adamax(beta2: value), NAdam(beta1: value),
                NAdam(beta2: value), RAdam(beta1: value), RAdam(beta2: value), AdaBelief(beta1: value),
                AdaBelief(beta2: value), Yogi(beta1: value), Yogi(beta2: value), NovoGrad(beta1: value),
                NovoGrad(beta2: value), AdEMAMix(beta1: value), AdEMAMix(beta2: value), AdEMAMix(beta3: value),
                ScheduleFreeAdamW(beta1: value), ScheduleFreeAdamW(beta2: value),
                Yogi(groups: [.rank(0...4).setting(beta2: value)]),
            ]
        }

    private static let withDecays: [any Driving] =
        [-0.1, .nan, .infinity].flatMap { (value: Float) -> [any Driving] in
            [
                SGD(learningRate: 1, weightDecay: value), Adam(weightDecay: value), AdamW(weightDecay: value),
                RMSProp(weightDecay: value), Adagrad(weightDecay: value), Lion(weightDecay: value),
                LAMB(weightDecay: value), Adagrad(learningRateDecay: value), Adagrad(initialAccumulator: value),
                SGD(learningRate: 1, momentum: 0.5, dampening: Double(value)), AdamW(weightDecay: value).lookingAhead(),
                LAMB(groups: [.rank(0...4, weightDecay: value)]), Adadelta(weightDecay: value),
                Adamax(weightDecay: value), NAdam(weightDecay: value), RAdam(weightDecay: value),
                AdaBelief(weightDecay: value), Yogi(weightDecay: value), NovoGrad(weightDecay: value),
                AdEMAMix(weightDecay: value), AdEMAMix(alpha: value), ScheduleFreeAdamW(weightDecay: value),
                LARS(learningRate: 1, weightDecay: value), Adafactor(weightDecay: value),
            ]
        }

    private static let others: [any Driving] = [
        SGD(learningRate: 1, dampening: 1.1), SGD(learningRate: 1, nesterov: true),
        SGD(learningRate: 1, momentum: 0.5, dampening: 0.1, nesterov: true),
        SGD(learningRate: 1).lookingAhead(synchronizationPeriod: 0),
        SGD(learningRate: 1).lookingAhead(slowStepSize: 0), SGD(learningRate: 1).lookingAhead(slowStepSize: 1.5),
        SGD(learningRate: 1).lookingAhead(slowStepSize: .nan), RMSProp(epsilon: 0, centered: true),
        Adadelta(epsilon: 0), Adadelta(groups: [.rank(0...4).setting(epsilon: 0)]), AdEMAMix(warmup: -1),
        LARS(learningRate: 1, trustCoefficient: 0), Adafactor(beta2Decay: 0.1), Adafactor(beta2Decay: .nan),
        Adafactor(clipThreshold: 0),
        // Finite, but not in float32.
        SGD(learningRate: 1e300), SGD(learningRate: 1, momentum: 1e300), RMSProp(momentum: 1e39),
        AdamW(learningRate: .exponential(initial: 1e39, rate: 0.5, transitionSteps: 1)),
        AdamW(learningRate: .warmupCosine(peak: 1, warmup: 1, total: 2, end: 4e38)),
        Lion(groups: [.rank(0...4, learningRate: 1e300)]),
    ]

    static let refused = withRates + withBetas + withDecays + others

    @Test func `settings out of range are refused by the optimizer's name`() throws {
        let parameters = TensorSet(zeros: try makeLayout([[2]]))
        for optimizer in Self.refused {
            let error = #expect(throws: DescentError.self, "\(optimizer)") {
                try Pipeline(for: parameters) {
                } driving: {
                    optimizer
                }
            }
            #expect(error?.code == .invalidSetting)
            let names = optimizer.branches.flatMap { [$0.optimizer.name] + $0.stages.map(\.name) }
            #expect(names.contains { error?.stage?.hasPrefix($0) == true }, "\(optimizer)")
        }
    }

    @Test func `settings at the ends of their ranges are accepted`() throws {
        var parameters = TensorSet.random(try makeLayout([[3]]), seed: 1)
        let optimizers: [any Driving] = [
            SGD(learningRate: 1, momentum: 0, dampening: 0, weightDecay: 0),
            SGD(learningRate: 1, momentum: 0.999, dampening: 1), Adam(beta1: 0, beta2: 0, weightDecay: 0),
            AdamW(beta1: 0, beta2: 0), RMSProp(alpha: 0, momentum: 0), Lion(beta1: 0, beta2: 0),
            LAMB(beta1: 0, beta2: 0), Adagrad(learningRateDecay: 0, initialAccumulator: 0),
            SGD(learningRate: 1).averagingParameters(decay: 0),
            SGD(learningRate: 1).lookingAhead(synchronizationPeriod: 1, slowStepSize: 1), Adadelta(rho: 0),
            Adamax(beta1: 0, beta2: 0, epsilon: 0), NAdam(beta1: 0, beta2: 0, epsilon: 0, momentumDecay: 0),
            RAdam(beta1: 0, beta2: 0, epsilon: 0), AdaBelief(beta1: 0, beta2: 0, epsilon: 0, epsilonRoot: 0),
            Yogi(beta1: 0, beta2: 0, epsilon: 0, initialAccumulator: 0), NovoGrad(beta1: 0, beta2: 0, epsilon: 0),
            AdEMAMix(beta1: 0, beta2: 0, beta3: 0, alpha: 0, warmup: 3, epsilon: 0),
            ScheduleFreeAdamW(beta1: 0, beta2: 0, epsilon: 0), LARS(learningRate: 1, momentum: 0),
            Adafactor(beta2Decay: 0, epsilon1: 0, epsilon2: 0),
        ]
        for optimizer in optimizers {
            var pipeline = try Pipeline(for: parameters) {
            } driving: {
                optimizer
            }
            let gradients = parameters
            for _ in 0..<2 { #expect(try pipeline.step(&parameters, gradients: gradients).isApplied) }
            #expect(parameters.arrays.joined().allSatisfy { $0.isFinite }, "\(optimizer)")
        }
    }

    // MARK: Kernels

    static let optimizers: [any Driving] = [
        SGD(learningRate: 0.1, weightDecay: 0.1), SGD(learningRate: 0.1, momentum: 0.9),
        SGD(learningRate: 0.1, momentum: 0.9, dampening: 0.5, weightDecay: 0.1, maximize: true),
        SGD(learningRate: 0.1, momentum: 0.9, nesterov: true), Adam(learningRate: 0.01, weightDecay: 0.1),
        Adam(learningRate: 0.01, amsgrad: true), AdamW(learningRate: 0.01, weightDecay: 0.1),
        AdamW(learningRate: 0.01, amsgrad: true), RMSProp(weightDecay: 0.1), RMSProp(momentum: 0.9),
        RMSProp(epsilon: 1e-3, centered: true), RMSProp(epsilon: 1e-3, momentum: 0.9, centered: true),
        Adagrad(learningRateDecay: 0.1, initialAccumulator: 0.1, weightDecay: 0.1), Lion(weightDecay: 0.1),
        LAMB(weightDecay: 0.1, groups: [.vectorsWithoutDecay]), AdamW().averagingParameters(decay: 0.9),
        SGD(learningRate: 0.1, momentum: 0.9).lookingAhead(synchronizationPeriod: 2),
        LAMB().averagingParameters(decay: 0.5).lookingAhead(synchronizationPeriod: 3, slowStepSize: 0.8),
        Adadelta(weightDecay: 0.1), Adamax(weightDecay: 0.1), NAdam(weightDecay: 0.1),
        NAdam(weightDecay: 0.1, decouplesWeightDecay: true), RAdam(beta2: 0.9, weightDecay: 0.1),
        RAdam(beta2: 0.9, weightDecay: 0.1, decouplesWeightDecay: true), AdaBelief(weightDecay: 0.1),
        Yogi(weightDecay: 0.1), NovoGrad(weightDecay: 0.1), AdEMAMix(warmup: 4, weightDecay: 0.1),
        ScheduleFreeAdamW(weightDecay: 0.1), LARS(learningRate: 1, weightDecay: 0.1),
        LARS(learningRate: 1, nesterov: true, groups: [.vectorsWithoutDecay]), Adafactor(weightDecay: 0.1),
        Adafactor(learningRate: 1, groups: [.rank(1...1).setting(maximize: true)]),
    ]

    private func mixedLayout() throws -> ParameterLayout {
        try ParameterLayout([
            ParameterDescription("a", shape: [9, 7]), ParameterDescription("a.bias", shape: [50]),
            ParameterDescription("b", shape: [2, 3, 20], outputAxis: .last), ParameterDescription("c", shape: []),
            ParameterDescription("d", shape: [0, 3]), ParameterDescription("e", shape: [11, 1]),
        ])
    }

    @Test(arguments: optimizers.indices) func `the SIMD backend does what the plain defaults say, on any threads`(
        _ index: Int
    ) throws {
        let layout = try mixedLayout()
        let stages: [any Stage] = [Centralize(), ClipByGlobalNorm(1)]
        var trained: [[[Float]]] = []
        for threads in [1, 2, 8] {
            var parameters = TensorSet.random(layout, seed: 1)
            let backend = SIMDBackend(threads: threads, blockLength: 40, elementsPerThread: 16)
            var pipeline = try Pipeline(for: parameters, on: backend) {
                stages
            } driving: {
                Self.optimizers[index]
            }
            for step in 0..<5 as Range<UInt64> {
                _ = try pipeline.step(&parameters, gradients: .random(layout, seed: step + 2))
            }
            trained.append(
                try pipeline.slotNames.reduce(parameters.arrays) { try $0 + #require(pipeline.slot(named: $1)).arrays })
        }
        #expect(trained[1] == trained[0] && trained[2] == trained[0])

        var plain = PlainTensors(.random(layout, seed: 1))
        var pipeline = try GradientPipeline(for: plain, on: PlainBackend()) {
            stages
        } driving: {
            Self.optimizers[index]
        }
        for step in 0..<5 as Range<UInt64> {
            _ = try pipeline.step(&plain, gradients: PlainTensors(.random(layout, seed: step + 2)))
        }
        let expected = try pipeline.slotNames.reduce(plain.values) {
            try $0 + #require(pipeline.slot(named: $1)).values
        }
        let difference = largestDifference(trained[0].joined(), expected.joined())
        #expect(difference <= 1e-5, "\(Self.optimizers[index].name)")
    }

    @Test func `RMSProp with momentum, centered, follows PyTorch's formula`() throws {
        let layout = try makeLayout([[20]])
        let (alpha, momentum, epsilon) = (0.9, 0.8, 1e-2)
        var parameters = TensorSet.random(layout, seed: 1)
        var expected = parameters["layer0.weight"].map { Double($0) }
        let zeros = [Double](repeating: 0, count: 20)
        var (squares, means, velocities) = (zeros, zeros, zeros)
        var pipeline = try Pipeline(for: parameters) {
        } driving: {
            RMSProp(
                learningRate: 0.1, alpha: alpha, epsilon: Float(epsilon), momentum: momentum,
                centered: true, weightDecay: 0.25)
        }
        for step in 0..<5 as Range<UInt64> {
            let gradients = TensorSet.random(layout, seed: step + 5)
            #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
            for (index, gradient) in gradients["layer0.weight"].enumerated() {
                let decayed = Double(gradient) + 0.25 * expected[index]
                squares[index] = alpha * squares[index] + (1 - alpha) * decayed * decayed
                means[index] = alpha * means[index] + (1 - alpha) * decayed
                let root = (squares[index] - means[index] * means[index]).squareRoot()
                velocities[index] = momentum * velocities[index] + decayed / (root + epsilon)
                expected[index] -= 0.1 * velocities[index]
            }
            #expect(largestDifference(parameters["layer0.weight"], expected) < 1e-5)
        }
    }

    // MARK: LAMB

    /// The direction of Adam in the first step, in Double.
    private func firstDirection(_ gradient: Float) -> Double {
        // Both corrections undo the decay: m is the gradient, v its square.
        Double(gradient) / (abs(Double(gradient)) + 1e-6)
    }

    @Test func `LAMB takes the length of a zero parameter's step from the learning rate`() throws {
        let layout = try makeLayout([[3, 4], [3]])
        var parameters = TensorSet.random(layout, seed: 1)
        parameters["layer0.weight"] = [Float](repeating: 0, count: 12)
        let (gradients, before) = (TensorSet.random(layout, seed: 2), parameters)
        var pipeline = try Pipeline(for: parameters) {
        } driving: {
            LAMB(learningRate: 0.5)
        }
        #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
        let steps = gradients["layer0.weight"].map { -0.5 * firstDirection($0) }
        #expect(largestDifference(parameters["layer0.weight"], steps) < 1e-5)
        let directions = gradients["layer0.bias"].map { firstDirection($0) }
        func norm(_ values: [Double]) -> Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }
        let ratio = norm(before["layer0.bias"].map { Double($0) }) / norm(directions)
        let expected = zip(before["layer0.bias"], directions).map { Double($0) - 0.5 * ratio * $1 }
        #expect(largestDifference(parameters["layer0.bias"], expected) < 1e-5)
    }

    @Test func `LAMB leaves a parameter whose update is zero where it is`() throws {
        let layout = try makeLayout([[3, 4], [3]])
        var parameters = TensorSet.random(layout, seed: 1)
        let before = parameters.bits
        var pipeline = try Pipeline(for: parameters) {
        } driving: {
            LAMB(learningRate: 0.5)
        }
        for _ in 0..<2 { #expect(try pipeline.step(&parameters, gradients: TensorSet(zeros: layout)).isApplied) }
        #expect(parameters.bits == before)
    }

    // MARK: Subnormal numbers

    static let withMoments: [any Driving] = [
        SGD(learningRate: 0.1, momentum: 0.5), SGD(learningRate: 0.1, momentum: 0.5, nesterov: true),
        Adam(beta1: 0.5, beta2: 0.5), AdamW(beta1: 0.5, beta2: 0.5, amsgrad: true), RMSProp(alpha: 0.5),
        RMSProp(alpha: 0.5, momentum: 0.5, centered: true), Lion(beta2: 0.5), LAMB(beta1: 0.5, beta2: 0.5),
        AdamW(beta1: 0.5, beta2: 0.5).lookingAhead(synchronizationPeriod: 7), Adadelta(rho: 0.5),
        NAdam(beta1: 0.5, beta2: 0.5), RAdam(beta1: 0.5, beta2: 0.5),
        AdaBelief(beta1: 0.5, beta2: 0.5, epsilonRoot: 0), AdEMAMix(beta1: 0.5, beta2: 0.5, beta3: 0.5),
        NovoGrad(beta1: 0.5), LARS(learningRate: 1, momentum: 0.4),
    ]

    /// Whatever moments a pipeline holds after gradients of about 1e-18, and then none for many steps.
    private func fadeOut<Backend: TensorBackend>(
        _ pipeline: inout GradientPipeline<Backend>, _ parameters: inout Backend.Tensors,
        _ first: Backend.Tensors, _ zero: Backend.Tensors, _ values: (Backend.Tensors) -> [[Float]]
    ) throws {
        let moments = pipeline.slotNames.filter { !$0.hasSuffix("slow parameters") }
        for step in 0..<110 {
            #expect(try pipeline.step(&parameters, gradients: step == 0 ? first : zero).isApplied)
            for name in moments {
                let values = values(try #require(pipeline.slot(named: name))).joined()
                #expect(step > 0 || values.contains { $0 != 0 }, "\(name)")
                #expect(!values.contains { $0.isSubnormal }, "\(name), step \(step)")
                if step == 109, !name.hasSuffix("largest second moment") {
                    #expect(values.allSatisfy { $0 == 0 }, "\(name)")
                }
            }
        }
    }

    @Test(arguments: withMoments.indices) func `moments of gradients that stop become zero, never subnormal`(
        _ index: Int
    ) throws {
        let layout = try ParameterLayout([
            ParameterDescription("w", shape: [3, 6]), ParameterDescription("k", shape: [2, 3], outputAxis: .last),
        ])
        let first = TensorSet.random(layout, seed: 2, scale: 1e-18)
        var parameters = TensorSet.random(layout, seed: 1)
        var pipeline = try Pipeline(for: parameters) {
        } driving: {
            Self.withMoments[index]
        }
        try fadeOut(&pipeline, &parameters, first, TensorSet(zeros: layout)) { $0.arrays }

        var plain = PlainTensors(.random(layout, seed: 1))
        var plainPipeline = try GradientPipeline(for: plain, on: PlainBackend()) {
        } driving: {
            Self.withMoments[index]
        }
        try fadeOut(&plainPipeline, &plain, PlainTensors(first), PlainTensors(layout)) { $0.values }
    }
}
