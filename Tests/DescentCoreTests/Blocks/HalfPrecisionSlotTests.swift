import Descent
import TestSupport
import Testing

/// A running mean of gradients, in a slot of any element type; what leaves the stage is the gradient itself.
private struct Watch: GradientTransform {
    let elementType: ElementType
    let decay: Float

    var slots: [Slot] { [Slot("mean", elementType)] }

    func transform(_ block: inout some GradientBlock) {
        block.withElementsAndSlot { elements, mean in
            for index in elements.indices { mean[index] += (1 - decay) * (elements[index] - mean[index]) }
        }
    }
}

/// Momentum and a mean of squares in slots of any element type, element by element.
private struct Moments: Optimizer {
    let learningRate: Schedule = 0.1
    let elementType: ElementType

    var slots: [Slot] { [Slot("first", elementType), Slot("second", elementType)] }

    func update(_ block: inout some UpdateBlock) {
        let rate = block.rates.learningRate
        block.updateEach { gradient, parameter, first, second in
            first = 0.9 * first + 0.1 * gradient
            second = 0.99 * second + 0.01 * gradient * gradient
            parameter -= rate * first / (second.squareRoot() + 1e-3)
        }
    }
}

/// The library's own arithmetic over slots of any element type.
private struct Borrowed: Optimizer {
    enum Rule { case sgd, adam, sgdByElement }

    let learningRate: Schedule = 0.1
    let rule: Rule
    let elementType: ElementType
    private var appliedSteps = 0

    init(_ rule: Rule, _ elementType: ElementType) {
        self.rule = rule
        self.elementType = elementType
    }

    var slots: [Slot] {
        rule == .adam ? [Slot("first", elementType), Slot("second", elementType)] : [Slot("velocity", elementType)]
    }

    mutating func prepare(appliedSteps: Int) { self.appliedSteps = appliedSteps }

    func update(_ block: inout some UpdateBlock) {
        let isFirst = appliedSteps == 0
        switch rule {
        case .sgd:
            block.apply(SGDRule(momentum: 0.9, dampening: 0, nesterov: false, maximize: false, isFirst: isFirst))
        case .adam:
            block.apply(
                AdamRule(
                    beta1: 0.9, beta2: 0.99, epsilon: 1e-3, amsgrad: false, decouplesWeightDecay: true,
                    step: appliedSteps))
        case .sgdByElement:
            let rate = block.rates.learningRate
            block.updateEach { gradient, parameter, velocity in
                velocity = isFirst ? gradient : 0.9 * velocity + gradient
                parameter -= rate * velocity
            }
        }
    }
}

/// Slots that keep 16 bits an element.
@Suite struct HalfPrecisionSlotTests {
    /// What the slot of `Watch` holds after steps with the given gradients.
    private func watch(
        _ elementType: ElementType, decay: Float, _ values: [Float], steps: Int = 1, nonFinite: NonFinitePolicy = .skip
    ) throws -> [Float] {
        let layout = try makeLayout([[values.count]])
        var parameters = TensorSet(zeros: layout)
        var gradients = parameters
        gradients["layer0.weight"] = values
        var pipeline = try Pipeline(for: parameters, configuration: .init(nonFinite: nonFinite)) {
            Watch(elementType: elementType, decay: decay)
        } driving: {
            SGD(learningRate: 1)
        }
        for _ in 0..<steps { _ = try pipeline.step(&parameters, gradients: gradients) }
        return try #require(pipeline.slot(named: "Watch.mean"))["layer0.weight"]
    }

    @Test func `a running mean moves although its steps are smaller than half of the last place`() throws {
        // Each step moves the mean by at most 0.002 of the rest; rounded to nearest it could not pass 1/2, where half
        // of the last place is that of the step.
        let (steps, decay) = (600, 0.998 as Float)
        let means = try watch(.bfloat16, decay: decay, [Float](repeating: 1, count: 256), steps: steps)
        let average = means.reduce(0, +) / 256
        let expected = Float(1 - ReproducibleMath.power(Double(decay), steps))
        // One mean deviates by less than 0.03, so the average of 256 by less than 0.002.
        #expect(abs(average - expected) < 0.01)
        var nearest: Float = 0
        for _ in 0..<steps { nearest = ElementType.bfloat16.rounded(nearest + (1 - decay) * (1 - nearest)) }
        #expect(nearest <= 0.5)
    }

    @Test(arguments: [0.125, 0.25, 0.5, 0.9] as [Float]) func `rounding at random is unbiased, between the neighbours`(
        _ share: Float
    ) throws {
        let count = 4096
        for below: Float in [1, -1, 0x1.fep-3, 768, 0x1p-120] {
            let step = below.ulp * 65_536
            let above = below < 0 ? below - step : below + step
            let value = below + share * (above - below)
            let stored = try watch(.bfloat16, decay: 0, [Float](repeating: value, count: count))
            #expect(stored.allSatisfy { $0 == below || $0 == above })
            let shareAbove = Double(stored.count { $0 == above }) / Double(count)
            // Five standard deviations of a binomial share.
            let deviation = (Double(share) * (1 - Double(share)) / Double(count)).squareRoot()
            #expect(abs(shareAbove - Double(share)) < 5 * deviation, "\(value)")
        }
    }

    @Test func `what bfloat16 can hold stays what it is, and nothing finite becomes infinite`() throws {
        let exact: [Float] = [0, 1, -1.5, 0x1p-133, -0x1p-126, 0x1.fep127, .infinity, -.infinity]
        #expect(try watch(.bfloat16, decay: 0, exact, nonFinite: .propagate) == exact)
        let large: [Float] = [.greatestFiniteMagnitude, -.greatestFiniteMagnitude]
        #expect(try watch(.bfloat16, decay: 0, large) == [0x1.fep127, -0x1.fep127])
        #expect(try watch(.bfloat16, decay: 0, [.nan], nonFinite: .propagate)[0].isNaN)
    }

    @Test func `float16 rounds to nearest`() throws {
        var generator = SeededGenerator(seed: 4)
        let values = (0..<500).map { _ in generator.normal() }
        let stored = try watch(.float16, decay: 0, values)
        #expect(stored == values.map { ElementType.float16.rounded($0) })
    }

    private func train(
        _ layout: ParameterLayout, _ optimizer: any Driving, threads: Int, blockLength: Int, steps: Int = 4,
        _ stages: [any Stage] = []
    ) throws -> (parameters: TensorSet, slots: [UInt32]) {
        var parameters = TensorSet.random(layout, seed: 1)
        let backend = SIMDBackend(threads: threads, blockLength: blockLength, elementsPerThread: 16)
        var pipeline = try Pipeline(for: parameters, on: backend) {
            stages
        } driving: {
            optimizer
        }
        for step in 0..<steps {
            _ = try pipeline.step(&parameters, gradients: .random(layout, seed: UInt64(step) + 10))
        }
        return (parameters, try pipeline.slotNames.flatMap { try #require(pipeline.slot(named: $0)).bits })
    }

    private func mixedLayout() throws -> ParameterLayout {
        try ParameterLayout([
            ParameterDescription("a", shape: [9, 7]), ParameterDescription("b", shape: [70]),
            ParameterDescription("c", shape: [2, 3, 40], outputAxis: .last), ParameterDescription("d", shape: []),
        ])
    }

    @Test(arguments: [ElementType.bfloat16, .float16]) func `any number of threads and any blocks round alike`(
        _ elementType: ElementType
    ) throws {
        let stages = [Watch(elementType: elementType, decay: 0.9)]
        for optimizer: any Driving in [
            Moments(elementType: elementType), Borrowed(.sgd, elementType), Borrowed(.adam, elementType),
        ] {
            let expected = try train(mixedLayout(), optimizer, threads: 1, blockLength: 16_384, stages)
            for (threads, blockLength) in [(1, 16), (2, 50), (8, 7)] {
                let found = try train(mixedLayout(), optimizer, threads: threads, blockLength: blockLength, stages)
                #expect(found.parameters.bits == expected.parameters.bits, "\(optimizer.name), \(threads) threads")
                #expect(found.slots == expected.slots, "\(optimizer.name), blocks of \(blockLength)")
            }
        }
    }

    @Test(arguments: [ElementType.bfloat16, .float16]) func `a kernel and a loop over elements keep the same bits`(
        _ elementType: ElementType
    ) throws {
        let kernel = try train(mixedLayout(), Borrowed(.sgd, elementType), threads: 1, blockLength: 64)
        let loop = try train(mixedLayout(), Borrowed(.sgdByElement, elementType), threads: 1, blockLength: 64)
        #expect(kernel.parameters.bits == loop.parameters.bits)
        #expect(kernel.slots == loop.slots)
    }

    @Test(arguments: [ElementType.bfloat16, .float16]) func `training with them stays near training in float32`(
        _ elementType: ElementType
    ) throws {
        for (narrow, wide): (any Driving, any Driving) in [
            (Moments(elementType: elementType), Moments(elementType: .float32)),
            (Borrowed(.sgd, elementType), Borrowed(.sgd, .float32)),
            (Borrowed(.adam, elementType), Borrowed(.adam, .float32)),
        ] {
            let narrow = try train(mixedLayout(), narrow, threads: 1, blockLength: 64)
            let wide = try train(mixedLayout(), wide, threads: 1, blockLength: 64)
            #expect(narrow.slots != wide.slots)
            // Steps of 0.1, each off by at most a few in 2^8.
            #expect(largestDifference(narrow.parameters.arrays.joined(), wide.parameters.arrays.joined()) < 0.01)
        }
    }

    @Test func `two runs, and two copies of one pipeline, round alike; two steps do not`() throws {
        let layout = try makeLayout([[64]])
        var parameters = TensorSet(zeros: layout)
        var gradients = parameters
        gradients["layer0.weight"] = [Float](repeating: 1 + 0x1p-8, count: 64)
        var pipeline = try Pipeline(for: parameters) {
            Watch(elementType: .bfloat16, decay: 0)
        } driving: {
            SGD(learningRate: 1)
        }
        var stored: [[UInt32]] = []
        for _ in 0..<3 {
            var (copy, copied) = (pipeline, parameters)
            _ = try copy.step(&copied, gradients: gradients)
            _ = try pipeline.step(&parameters, gradients: gradients)
            stored.append(try #require(pipeline.slot(named: "Watch.mean")).bits)
            #expect(copy.slot(named: "Watch.mean")?.bits == stored.last)
        }
        #expect(stored[0] != stored[1] && stored[1] != stored[2])
    }

    @Test func `a skipped step and a sweep that only measures keep the slot`() throws {
        let layout = try mixedLayout()
        var parameters = TensorSet.random(layout, seed: 1)
        var pipeline = try Pipeline(for: parameters) {
            Watch(elementType: .bfloat16, decay: 0.5)
            ClipByValue(1)
            ClipByGlobalNorm(1)
        } driving: {
            SGD(learningRate: 1)
        }
        var alone = try Pipeline(for: parameters) {
            Watch(elementType: .bfloat16, decay: 0.5)
        } driving: {
            SGD(learningRate: 1)
        }
        var spoiled = TensorSet.random(layout, seed: 2)
        spoiled["d"] = [.nan]
        for seed in 3..<6 {
            var others = TensorSet.random(layout, seed: 1)
            #expect(try pipeline.step(&parameters, gradients: .random(layout, seed: UInt64(seed))).isApplied)
            #expect(try !pipeline.step(&parameters, gradients: spoiled).isApplied)
            #expect(try alone.step(&others, gradients: .random(layout, seed: UInt64(seed))).isApplied)
            #expect(pipeline.slot(named: "Watch.mean")?.bits == alone.slot(named: "Watch.mean")?.bits)
        }
    }
}
