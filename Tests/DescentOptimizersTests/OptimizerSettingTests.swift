import Descent
import DescentCore
import TestSupport
import Testing

/// What settings mean: how they are rounded, which values they may have, and how many slots there may be.
@Suite struct OptimizerSettingTests {
    private let layout: ParameterLayout

    init() throws {
        layout = try ParameterLayout([
            ParameterDescription("body.weight", shape: [5, 7]), ParameterDescription("body.bias", shape: [5]),
            ParameterDescription("head.weight", shape: [3, 6], outputAxis: .last),
            ParameterDescription("head.bias", shape: [6]),
        ])
    }

    /// Trains from the same parameters with the same gradients.
    private func train(
        _ optimizer: any Driving, steps: Int = 6, gradientScale: Float = 1, on layout: ParameterLayout? = nil
    ) throws -> TensorSet {
        let layout = layout ?? self.layout
        var parameters = TensorSet.random(layout, seed: 1)
        let backend = SIMDBackend(threads: 2, blockLength: 16, elementsPerThread: 8)
        var pipeline = try Pipeline(for: parameters, on: backend) {
        } driving: {
            optimizer
        }
        for step in 0..<steps {
            let gradients = TensorSet.random(layout, seed: UInt64(step) + 2, scale: gradientScale)
            #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
        }
        return parameters
    }

    // MARK: Rounding

    @Test func `RMSProp with a decay near 1 is that of Double to 1e-6`() throws {
        let layout = try makeLayout([[50]])
        let (steps, alpha) = (40, 0.99999)
        let found = try train(RMSProp(learningRate: 0.01, alpha: alpha), steps: steps, on: layout)
        var expected = TensorSet.random(layout, seed: 1).arrays[0].map { Double($0) }
        var squares = [Double](repeating: 0, count: 50)
        // The first steps are of 3, and what float32 rounds off on the way is relative to that.
        var farthest = expected.map(abs)
        for step in 0..<steps {
            for (index, gradient) in TensorSet.random(layout, seed: UInt64(step) + 2).arrays[0].enumerated() {
                squares[index] = alpha * squares[index] + (1 - alpha) * Double(gradient) * Double(gradient)
                expected[index] -= 0.01 * Double(gradient) / (squares[index].squareRoot() + 1e-8)
                farthest[index] = max(farthest[index], abs(expected[index]))
            }
        }
        for (index, found) in found.arrays[0].enumerated() {
            #expect(abs(Double(found) - expected[index]) <= 1e-6 * farthest[index])
        }
    }

    @Test func `an average with a decay near 1 moves by what Double says, to 1e-6 of the way`() throws {
        var parameters = TensorSet(zeros: try makeLayout([[3]]))
        var gradients = parameters
        var pipeline = try Pipeline(for: parameters) {
        } driving: {
            SGD(learningRate: 1).averagingParameters(decay: 0.99999)
        }
        for step in 0..<2 {
            gradients["layer0.weight"] = [Float](repeating: step == 0 ? 0 : -1, count: 3)
            #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
        }
        let average = try #require(pipeline.averagedParameters)
        #expect(average["layer0.weight"].allSatisfy { abs(Double($0) / (1 - 0.99999) - 1) < 1e-6 })
    }

    @Test func `a loss scale times a factor is rounded once, as GradScaler does`() throws {
        var parameters = TensorSet.random(layout, seed: 1)
        var pipeline = try Pipeline(for: parameters) {
            Unscale(.dynamic(initial: 65_536, growthFactor: 1.1, backoffFactor: 0.9, growthInterval: 1))
        } driving: {
            SGD(learningRate: 0.1)
        }
        var expected: Float = 65_536
        var overflow = TensorSet.random(layout, seed: 2)
        overflow["body.bias"][0] = .infinity
        for step in 0..<24 {
            let overflows = step % 3 != 0
            _ = try pipeline.step(&parameters, gradients: overflows ? overflow : .random(layout, seed: 3))
            expected = Float(Double(expected) * (overflows ? 0.9 : 1.1))
            #expect(pipeline.lossScale == expected, "step \(step)")
        }
    }

    // MARK: Extremes

    @Test func `finite gradients of any size leave finite parameters`() throws {
        let optimizers: [any Driving] = [
            Adam(amsgrad: true), AdamW(), RMSProp(), RMSProp(momentum: 0.9), RMSProp(centered: true),
            RMSProp(momentum: 0.9, centered: true), Adagrad(), Lion(), LAMB(), SGD(learningRate: 1e-3, momentum: 0.9),
            AdamW().averagingParameters(decay: 0.9), Adam(epsilon: 0), AdamW(epsilon: 0), LAMB(epsilon: 0),
            RMSProp(epsilon: 0), Adagrad(epsilon: 0), Adam(epsilon: 1e-30), Lion(beta1: 0, beta2: 0), Adadelta(),
            Adadelta(epsilon: .leastNonzeroMagnitude), Adamax(), Adamax(epsilon: 0), NAdam(), NAdam(epsilon: 0),
            RAdam(beta2: 0.5), RAdam(beta2: 0.9, epsilon: 0), AdaBelief(), AdaBelief(epsilon: 0, epsilonRoot: 0),
            Yogi(), Yogi(epsilon: 0, initialAccumulator: 0), NovoGrad(), NovoGrad(epsilon: 0), AdEMAMix(),
            AdEMAMix(warmup: 2, epsilon: 0), ScheduleFreeAdamW(), ScheduleFreeAdamW(epsilon: 0),
            LARS(learningRate: 1), LARS(learningRate: 1, nesterov: true, weightDecay: 0.1), Adafactor(),
            Adafactor(epsilon1: 0, epsilon2: 0),
        ]
        for optimizer in optimizers {
            for scale: Float in [
                0, .leastNonzeroMagnitude, 1e-38, 1e-30, 1e-19, 1e-10, 1, 1e10, 1e19, 1e25, 1e30, 5e37,
            ] {
                let trained = try train(optimizer, steps: 3, gradientScale: scale)
                #expect(trained.arrays.joined().allSatisfy { $0.isFinite }, "\(optimizer.name) of \(scale)")
            }
        }
    }

    @Test func `centered RMSProp does not move along a gradient whose square overflows`() throws {
        let trained = try train(RMSProp(centered: true), steps: 2, gradientScale: 1e25)
        #expect(trained.bits == TensorSet.random(layout, seed: 1).bits)
    }

    @Test func `gradients whose squares are flushed make small steps, whatever epsilon is`() throws {
        for epsilon: Float in [0, 1e-30] {
            let optimizers: [any Driving] = [
                Adam(learningRate: 1, epsilon: epsilon), AdamW(learningRate: 1, epsilon: epsilon, weightDecay: 0),
                RMSProp(learningRate: 1, epsilon: epsilon), Adagrad(learningRate: 1, epsilon: epsilon),
            ]
            for optimizer in optimizers {
                var parameters = TensorSet(zeros: layout)
                var pipeline = try Pipeline(for: parameters) {
                } driving: {
                    optimizer
                }
                var gradients = parameters
                for parameter in layout {
                    let values: [Float] = [0, -0.0, 2.5e-18, -1e-20, 1e-30, -.leastNonzeroMagnitude]
                    gradients[parameter.name] = (0..<parameter.count).map { values[$0 % 6] }
                }
                for step in 1...3 {
                    #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
                    // Unlike Adam's, RMSProp's denominator starts far below the gradient.
                    let limit = Float(step) * (optimizer is RMSProp ? 10 : 1.0001)
                    #expect(parameters.arrays.joined().allSatisfy { $0.magnitude <= limit }, "\(optimizer.name)")
                }
                for parameter in layout where parameter.count > 1 {
                    #expect(parameters[parameter.name][0] == 0 && parameters[parameter.name][1] == 0)
                }
            }
        }
    }

    @Test func `with an epsilon of 1e-30, Adam moves as far as the limits say`() throws {
        let layout = try makeLayout([[1]])
        var (parameters, gradients) = (TensorSet(zeros: layout), TensorSet(zeros: layout))
        gradients["layer0.weight"] = [2.5e-18]
        var pipeline = try Pipeline(for: parameters) {
        } driving: {
            Adam(learningRate: 1, epsilon: 1e-30)
        }
        for _ in 0..<3 { _ = try pipeline.step(&parameters, gradients: gradients) }
        #expect(abs(parameters["layer0.weight"][0] + 3 * 0.729) < 0.003)
    }

    // MARK: Zero and more than one

    @Test func `a learning rate of 0 moves nothing, alone, in a group and in a schedule`() throws {
        let before = TensorSet.random(layout, seed: 1)
        let optimizers: [any Driving] = [
            SGD(learningRate: 0, momentum: 0.9, weightDecay: 0.1), Adam(learningRate: 0, weightDecay: 0.1),
            AdamW(learningRate: 0), RMSProp(learningRate: 0), Adagrad(learningRate: 0), Lion(learningRate: 0),
            LAMB(learningRate: 0), AdamW(learningRate: .exponential(initial: 0, rate: 2, transitionSteps: 1)),
            AdamW(learningRate: .warmupCosine(peak: 0, warmup: 2, total: 4)), AdamW(learningRate: .constant(-0.0)),
            Adadelta(learningRate: 0, weightDecay: 0.1), Adamax(learningRate: 0), NAdam(learningRate: 0),
            RAdam(learningRate: 0), AdaBelief(learningRate: 0), Yogi(learningRate: 0),
            NovoGrad(learningRate: 0, weightDecay: 0.1), AdEMAMix(learningRate: 0, weightDecay: 0.1),
            LARS(learningRate: 0, weightDecay: 0.1), Adafactor(learningRate: 0, weightDecay: 0.1),
        ]
        for optimizer in optimizers { #expect(try train(optimizer).bits == before.bits, "\(optimizer.name)") }
        let grouped = try train(AdamW(groups: [.named(prefix: "head.", learningRate: 0)]))
        #expect(grouped["head.weight"] == before["head.weight"] && grouped["head.bias"] == before["head.bias"])
        #expect(grouped["body.weight"] != before["body.weight"])
    }

    @Test(arguments: [1, 1.25]) func `a momentum of 1 and more adds up what it says`(_ momentum: Double) throws {
        let found = try train(SGD(learningRate: 0.125, momentum: momentum))
        var expected = TensorSet.random(layout, seed: 1).arrays.joined().map { Double($0) }
        var velocity = expected.map { _ in 0.0 }
        for step in 0..<6 as Range<UInt64> {
            for (index, gradient) in TensorSet.random(layout, seed: step + 2).arrays.joined().enumerated() {
                velocity[index] = momentum * velocity[index] + Double(gradient)
                expected[index] -= 0.125 * velocity[index]
            }
        }
        #expect(largestDifference(found.arrays.joined(), expected) < 1e-5)
        #expect(try train(RMSProp(momentum: momentum)).arrays.joined().allSatisfy { $0.isFinite })
    }

    @Test func `maximizing is minimizing the negative, bit for bit`() throws {
        let pairs: [(any Driving, any Driving)] = [
            (SGD(learningRate: 0.1, momentum: 0.9, maximize: true), SGD(learningRate: 0.1, momentum: 0.9)),
            (Adam(weightDecay: 0.1, maximize: true), Adam(weightDecay: 0.1)), (AdamW(maximize: true), AdamW()),
            (RMSProp(weightDecay: 0.1, maximize: true), RMSProp(weightDecay: 0.1)),
            (RMSProp(momentum: 0.5, centered: true, maximize: true), RMSProp(momentum: 0.5, centered: true)),
            (Adagrad(weightDecay: 0.1, maximize: true), Adagrad(weightDecay: 0.1)),
            (Lion(weightDecay: 0.1, maximize: true), Lion(weightDecay: 0.1)),
            (LAMB(weightDecay: 0.1, maximize: true), LAMB(weightDecay: 0.1)),
            (Adadelta(weightDecay: 0.1, maximize: true), Adadelta(weightDecay: 0.1)),
            (Adamax(weightDecay: 0.1, maximize: true), Adamax(weightDecay: 0.1)),
            (NAdam(weightDecay: 0.1, maximize: true), NAdam(weightDecay: 0.1)),
            (RAdam(beta2: 0.9, weightDecay: 0.1, maximize: true), RAdam(beta2: 0.9, weightDecay: 0.1)),
            (AdaBelief(maximize: true), AdaBelief()), (Yogi(maximize: true), Yogi()),
            (NovoGrad(weightDecay: 0.1, maximize: true), NovoGrad(weightDecay: 0.1)),
            (AdEMAMix(weightDecay: 0.1, maximize: true), AdEMAMix(weightDecay: 0.1)),
            (ScheduleFreeAdamW(weightDecay: 0.1, maximize: true), ScheduleFreeAdamW(weightDecay: 0.1)),
            (LARS(learningRate: 1, weightDecay: 0.1, maximize: true), LARS(learningRate: 1, weightDecay: 0.1)),
            (Adafactor(weightDecay: 0.1, maximize: true), Adafactor(weightDecay: 0.1)),
        ]
        for (climbing, descending) in pairs {
            var (climbed, descended) = (TensorSet.random(layout, seed: 1), TensorSet.random(layout, seed: 1))
            var (up, down) = (
                try Pipeline(for: climbed) {
                    Centralize()
                } driving: {
                    climbing
                },
                try Pipeline(for: climbed) {
                    Scale(by: -1); Centralize()
                } driving: {
                    descending
                }
            )
            for step in 0..<4 as Range<UInt64> {
                let gradients = TensorSet.random(layout, seed: step + 2)
                #expect(try up.step(&climbed, gradients: gradients).isApplied)
                #expect(try down.step(&descended, gradients: gradients).isApplied)
            }
            #expect(climbed.bits == descended.bits, "\(climbing.name)")
        }
    }

    // MARK: Slots

    @Test func `five slots work together: AMSGrad, an average and lookahead`() throws {
        let optimizer = AdamW(learningRate: 0.1, amsgrad: true).averagingParameters(decay: 0.5)
            .lookingAhead(synchronizationPeriod: 2, slowStepSize: 0.5)
        var (parameters, plain) = (TensorSet.random(layout, seed: 1), TensorSet.random(layout, seed: 1))
        var pipeline = try Pipeline(for: parameters) {
        } driving: {
            optimizer
        }
        var inner = try Pipeline(for: plain) {
        } driving: {
            AdamW(learningRate: 0.1, amsgrad: true)
        }
        #expect(pipeline.slotNames.count == 5)
        var (slow, average) = (plain.arrays, plain.arrays)
        for step in 0..<6 as Range<UInt64> {
            let gradients = TensorSet.random(layout, seed: step + 2)
            #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
            #expect(try inner.step(&plain, gradients: gradients).isApplied)
            let fast = plain.arrays
            for (tensor, parameter) in layout.enumerated() {
                for index in fast[tensor].indices {
                    average[tensor][index] += (step == 0 ? 1 : 0.5) * (fast[tensor][index] - average[tensor][index])
                    guard step % 2 == 1 else { continue }
                    slow[tensor][index] += 0.5 * (fast[tensor][index] - slow[tensor][index])
                }
                if step % 2 == 1 { plain[parameter.name] = slow[tensor] }
            }
            #expect(largestDifference(parameters.arrays.joined(), plain.arrays.joined().map { Double($0) }) < 1e-5)
        }
        let found = try #require(pipeline.averagedParameters).arrays.joined()
        #expect(largestDifference(found, average.joined().map { Double($0) }) < 1e-5)
    }

    /// Adds the gradient to each of many slots.
    private struct Hoarder: Optimizer {
        var learningRate: Schedule { 1 }
        let types: [ElementType]
        var slots: [Slot] { types.enumerated().map { Slot("slot \($0)", $1) } }
        func update(_ block: inout some UpdateBlock) {
            block.withUnsafeElements { memory in
                for offset in 0..<memory.slots.count {
                    for index in memory.gradient.indices {
                        memory.slots[offset][index] += Float(offset + 1) * memory.gradient[index]
                    }
                }
            }
        }
    }

    @Test func `an optimizer may keep eleven slots, each stored as it wants`() throws {
        let types = (0..<11).map { [ElementType.float32, .bfloat16, .float16][$0 % 3] }
        var parameters = TensorSet(zeros: layout)
        var gradients = parameters
        for parameter in layout { gradients[parameter.name] = (0..<parameter.count).map { Float($0 % 8) } }
        let backend = SIMDBackend(threads: 2, blockLength: 16, elementsPerThread: 8)
        var pipeline = try Pipeline(for: parameters, on: backend) {
        } driving: {
            Hoarder(types: types)
        }
        for _ in 0..<2 { #expect(try pipeline.step(&parameters, gradients: gradients).isApplied) }
        for (offset, name) in pipeline.slotNames.enumerated() {
            let expected = gradients.arrays.map { $0.map { 2 * Float(offset + 1) * $0 } }
            #expect(try #require(pipeline.slot(named: name)).arrays == expected, "\(name), \(types[offset])")
        }
    }
}
