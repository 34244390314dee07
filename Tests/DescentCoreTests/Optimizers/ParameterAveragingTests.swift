import Descent
import TestSupport
import Testing

/// Averages of parameters and looking ahead, against their formulas in Double.
@Suite struct ParameterAveragingTests {
    let layout: ParameterLayout
    let initial: TensorSet

    init() throws {
        layout = try ParameterLayout([
            ParameterDescription("w", shape: [5, 4]), ParameterDescription("b", shape: [30]),
            ParameterDescription("k", shape: [3, 17], outputAxis: .last),
        ])
        initial = .random(layout, seed: 1)
    }

    private func values(_ tensors: TensorSet) -> [Double] { tensors.arrays.joined().map { Double($0) } }

    private func difference(_ tensors: TensorSet, _ expected: [Double]) -> Double {
        largestDifference(tensors.arrays.joined(), expected)
    }

    @Test(arguments: [0, 0.5, 0.999] as [Double]) func `the average starts as the parameters and follows them`(
        _ decay: Double
    ) throws {
        for base: any Driving in [
            SGD(learningRate: 0.5).averagingParameters(decay: decay), AdamW().averagingParameters(decay: decay),
            LAMB().averagingParameters(decay: decay),
        ] {
            var parameters = initial
            let backend = SIMDBackend(threads: 2, blockLength: 24, elementsPerThread: 16)
            var pipeline = try Pipeline(for: parameters, on: backend) {
                Accumulate(steps: 2)
            } driving: {
                base
            }
            var average: [Double]?
            for step in 0..<10 as Range<UInt64> {
                let outcome = try pipeline.step(&parameters, gradients: .random(layout, seed: step + 10))
                guard outcome.isApplied else { continue }
                let present = values(parameters)
                average = average.map { zip($0, present).map { decay * $0 + (1 - decay) * $1 } }
                average = average ?? present
                let found = try #require(pipeline.averagedParameters)
                #expect(difference(found, average ?? []) < 1e-5, "\(base.name), step \(step)")
            }
            #expect(pipeline.appliedSteps == 5)
        }
    }

    @Test func `averaging changes nothing of the training, and a skipped step nothing of the average`() throws {
        var (parameters, expected) = (initial, initial)
        var pipeline = try Pipeline(for: initial) {
        } driving: {
            AdamW().averagingParameters(decay: 0.9)
        }
        var plain = try Pipeline(for: initial) {
        } driving: {
            AdamW()
        }
        var spoiled = initial
        spoiled["b"][3] = .nan
        #expect(try !pipeline.step(&parameters, gradients: spoiled).isApplied)
        #expect(pipeline.averagedParameters?.arrays.joined().allSatisfy { $0 == 0 } == true)
        for step in 0..<4 as Range<UInt64> {
            let gradients = TensorSet.random(layout, seed: step + 10)
            #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
            #expect(try plain.step(&expected, gradients: gradients).isApplied)
            let average = pipeline.averagedParameters?.bits
            #expect(try !pipeline.step(&parameters, gradients: spoiled).isApplied)
            #expect(pipeline.averagedParameters?.bits == average)
            #expect(step > 0 || average == parameters.bits)
        }
        #expect(parameters.bits == expected.bits)
        #expect(plain.averagedParameters == nil)
    }

    @Test func `an average that was handed out does not change any more`() throws {
        var parameters = initial
        var pipeline = try Pipeline(for: initial) {
        } driving: {
            SGD(learningRate: 0.5).averagingParameters(decay: 0.5)
        }
        _ = try pipeline.step(&parameters, gradients: .random(layout, seed: 2))
        let average = try #require(pipeline.averagedParameters)
        let before = average.bits
        _ = try pipeline.step(&parameters, gradients: .random(layout, seed: 3))
        #expect(average.bits == before)
        #expect(pipeline.averagedParameters?.bits != before)
    }

    @Test(arguments: [1, 2, 5], [0.3, 0.5, 1] as [Float])
    func `looking ahead goes back part of the way every few steps`(_ period: Int, _ slowStepSize: Float) throws {
        var parameters = initial
        let backend = SIMDBackend(threads: 2, blockLength: 24, elementsPerThread: 16)
        var pipeline = try Pipeline(for: parameters, on: backend) {
        } driving: {
            SGD(learningRate: 0.5, weightDecay: 0.1).lookingAhead(
                synchronizationPeriod: period, slowStepSize: slowStepSize)
        }
        var spoiled = initial
        spoiled["w"][3] = .infinity
        var fast = values(initial)
        var slow = fast
        for step in 1...11 {
            let gradients = TensorSet.random(layout, seed: UInt64(step) + 10)
            #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
            fast = zip(fast, values(gradients)).map { $0 - 0.5 * ($1 + 0.1 * $0) }
            if step.isMultiple(of: period) {
                slow = zip(slow, fast).map { $0 + Double(slowStepSize) * ($1 - $0) }
                fast = slow
            }
            #expect(difference(parameters, fast) < 1e-5, "step \(step)")
            // A skipped step does not count.
            #expect(try !pipeline.step(&parameters, gradients: spoiled).isApplied)
        }
        let slots = try #require(pipeline.slotNames.first { $0.hasSuffix("slow parameters") })
        #expect(difference(try #require(pipeline.slot(named: slots)), slow) < 1e-5)
    }

    @Test func `an average of an optimizer that looks ahead is of the parameters it goes back to`() throws {
        var parameters = initial
        var pipeline = try Pipeline(for: initial) {
        } driving: {
            SGD(learningRate: 0.5).lookingAhead(synchronizationPeriod: 2).averagingParameters(decay: 0)
        }
        for step in 0..<4 as Range<UInt64> {
            _ = try pipeline.step(&parameters, gradients: .random(layout, seed: step + 10))
            #expect(difference(try #require(pipeline.averagedParameters), values(parameters)) < 1e-6)
        }
        #expect(pipeline.slotNames.count == 2)
    }
}
