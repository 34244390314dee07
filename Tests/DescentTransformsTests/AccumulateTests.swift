import Descent
import TestSupport
import Testing

/// Windows of micro-batches.
@Suite struct AccumulateTests {
    let layout: ParameterLayout

    init() throws { layout = try makeLayout([[3, 4], [3]]) }

    /// The parameters after steps with a learning rate of 1 from zero: the sum of applied gradients, negated.
    private func apply(
        _ stage: Accumulate, _ microbatches: [(gradients: TensorSet, weight: Double)], flush: Bool = false
    ) throws -> (parameters: TensorSet, outcomes: [StepOutcome]) {
        var parameters = TensorSet(zeros: layout)
        var pipeline = try Pipeline(for: parameters) {
            stage
        } driving: {
            SGD(learningRate: 1)
        }
        var outcomes = try microbatches.map {
            try pipeline.step(&parameters, gradients: $0.gradients, weight: $0.weight)
        }
        if flush, let outcome = try pipeline.flush(&parameters) { outcomes.append(outcome) }
        return (parameters, outcomes)
    }

    private func microbatches(_ count: Int) -> [(gradients: TensorSet, weight: Double)] {
        (0..<count).map { (.random(layout, seed: UInt64($0)), Double($0 + 1)) }
    }

    private func expectation(
        _ microbatches: [(gradients: TensorSet, weight: Double)], _ factor: (Double) -> Double
    ) -> [Double] {
        (0..<layout.elementCount).map { element in
            -microbatches.reduce(0) { $0 + factor($1.weight) * Double($1.gradients.arrays.flatMap { $0 }[element]) }
        }
    }

    private func expectClose(_ tensors: TensorSet, _ expected: [Double]) {
        for (value, expected) in zip(tensors.arrays.joined(), expected) {
            #expect(abs(Double(value) - expected) < 1e-5)
        }
    }

    @Test func `mean divides by the number seen, sum by one, weighted by the sum of weights`() throws {
        let batch = microbatches(3)
        expectClose(try apply(Accumulate(steps: 3), batch).parameters, expectation(batch) { _ in 1 / 3 })
        expectClose(try apply(Accumulate(steps: 3, reduction: .sum), batch).parameters, expectation(batch) { _ in 1 })
        expectClose(
            try apply(Accumulate(steps: 3, reduction: .weighted), batch).parameters, expectation(batch) { $0 / 6 })
    }

    @Test func `a window flushed early is divided by what it saw`() throws {
        let batch = microbatches(2)
        for (reduction, factor) in [
            (Accumulate.Reduction.mean, { _ in 0.5 }), (.weighted, { $0 / 3 }), (.sum, { _ in 1 }),
        ] as [(Accumulate.Reduction, (Double) -> Double)] {
            let result = try apply(Accumulate(steps: 5, reduction: reduction), batch, flush: true)
            #expect(result.outcomes.last?.isApplied == true)
            expectClose(result.parameters, expectation(batch, factor))
        }
    }

    @Test func `flushing with no open window does nothing`() throws {
        let result = try apply(Accumulate(steps: 2), microbatches(2), flush: true)
        #expect(result.outcomes.count == 2)
        var parameters = TensorSet(zeros: layout)
        var plain = try Pipeline(for: parameters) {
        } driving: {
            SGD(learningRate: 1)
        }
        #expect(try plain.flush(&parameters) == nil)
    }

    @Test func `progress is told while the window is open`() throws {
        let outcomes = try apply(Accumulate(steps: 3), microbatches(4)).outcomes
        let progress = outcomes.map { if case .accumulated(let window) = $0 { window.received } else { 0 } }
        #expect(progress == [1, 2, 0, 1])
    }

    @Test func `a window of one is the gradient itself, bit for bit`() throws {
        for reduction: Accumulate.Reduction in [.mean, .sum, .weighted] {
            let windowed = try apply(Accumulate(steps: 1, reduction: reduction), microbatches(3)).parameters
            var parameters = TensorSet(zeros: layout)
            var pipeline = try Pipeline(for: parameters) {
            } driving: {
                SGD(learningRate: 1)
            }
            for batch in microbatches(3) { _ = try pipeline.step(&parameters, gradients: batch.gradients) }
            #expect(windowed.bits == parameters.bits)
        }
    }

    @Test func `equal micro-batches give what one of them gives`() throws {
        let one = microbatches(1)
        let four = [one[0], one[0], one[0], one[0]]
        let expected = try apply(Accumulate(steps: 1), one).parameters
        #expect(try apply(Accumulate(steps: 4), four).parameters.bits == expected.bits)
    }

    @Test func `a non-finite micro-batch spoils its window and not the next`() throws {
        var batch = microbatches(4)
        batch[0].gradients["layer0.bias"][2] = .nan
        let result = try apply(Accumulate(steps: 2), batch)
        guard case .skipped(let reason) = result.outcomes[1] else {
            Issue.record("not skipped")
            return
        }
        #expect(reason.parameter == "layer0.bias")
        #expect(result.outcomes[3].isApplied)
        expectClose(result.parameters, expectation(Array(batch[2...])) { _ in 0.5 })
    }

    @Test(arguments: [0, 1, 2]) func `a dropped micro-batch is left out and told, wherever in the window it comes`(
        _ position: Int
    ) throws {
        var batch = microbatches(3)
        batch[position].gradients["layer0.weight"][0] = .infinity
        for reduction: Accumulate.Reduction in [.mean, .weighted] {
            let result = try apply(Accumulate(steps: 3, reduction: reduction, nonFinite: .dropMicroBatch), batch)
            #expect(result.outcomes[2].isApplied)
            if position < 2, case .accumulated(let window) = result.outcomes[position] {
                #expect(window.rejection?.parameter == "layer0.weight")
                #expect(window.included == window.received - 1)
            }
            var rest = batch
            rest.remove(at: position)
            let total = rest.reduce(0) { $0 + $1.weight }
            expectClose(result.parameters, expectation(rest) { reduction == .mean ? 0.5 : $0 / total })
        }
    }

    @Test func `a window whose micro-batches were all dropped, or weigh nothing, is skipped`() throws {
        var batch = microbatches(2)
        for index in batch.indices { batch[index].gradients["layer0.weight"][0] = .nan }
        let dropped = try apply(Accumulate(steps: 2, nonFinite: .dropMicroBatch), batch).outcomes[1]
        if case .skipped(let reason) = dropped {
            #expect(reason.code == .emptyWindow)
        } else {
            Issue.record("\(dropped)")
        }
        let weightless = microbatches(2).map { ($0.gradients, 0.0) }
        let outcome = try apply(Accumulate(steps: 2, reduction: .weighted), weightless).outcomes[1]
        if case .skipped(let reason) = outcome {
            #expect(reason.code == .emptyWindow)
        } else {
            Issue.record("\(outcome)")
        }
    }

    @Test func `schedules and bias corrections count windows, not micro-batches`() throws {
        var rates: [Float] = []
        var parameters = TensorSet(zeros: layout)
        var pipeline = try Pipeline(for: parameters) {
            Accumulate(steps: 2)
        } driving: {
            AdamW(learningRate: .custom("count") { Double($0 + 1) })
        }
        for seed in 0..<6 {
            if case .applied(let report) = try pipeline.step(
                &parameters, gradients: .random(layout, seed: UInt64(seed)))
            {
                rates.append(report.learningRate)
            }
        }
        #expect(rates == [1, 2, 3])
        #expect(pipeline.appliedSteps == 3)
    }

    @Test func `clipping before the accumulation clips each micro-batch`() throws {
        let batch = microbatches(2)
        var parameters = TensorSet(zeros: layout)
        var pipeline = try Pipeline(for: parameters) {
            ClipByGlobalNorm(0.5, epsilon: 0)
            Accumulate(steps: 2)
        } driving: {
            SGD(learningRate: 1)
        }
        for batch in batch { _ = try pipeline.step(&parameters, gradients: batch.gradients) }
        let factors = batch.map { batch in
            0.5 / batch.gradients.arrays.joined().reduce(0) { $0 + Double($1) * Double($1) }.squareRoot() / 2
        }
        let clipped = zip(batch, factors).map { ($0.gradients, $1) }
        expectClose(parameters, expectation(clipped) { $0 })
    }

    @Test(arguments: [1e-46, 1e-40, 1e39, 1e300])
    func `a weight that float32 cannot hold is refused where gradients are multiplied by it`(_ weight: Double) throws {
        var parameters = TensorSet(zeros: layout)
        let gradients = TensorSet.random(layout, seed: 1)
        var pipeline = try Pipeline(for: parameters) {
            Accumulate(steps: 2, reduction: .weighted)
        } driving: {
            SGD(learningRate: 1)
        }
        let refused = thrownError { _ = try pipeline.step(&parameters, gradients: gradients, weight: weight) }
        #expect(refused?.code == .invalidWeight)
        #expect(refused?.message.contains("between 1.1754944e-38 and 3.4028235e+38") == true)
        #expect(thrownError { try pipeline.receive(gradients, of: 0, weight: weight) }?.code == .invalidWeight)
        #expect(pipeline.window?.isOpen == false)
        _ = try pipeline.step(&parameters, gradients: gradients, weight: 0x1p-126)
        #expect(try pipeline.step(&parameters, gradients: gradients, weight: 0).isApplied)
        #expect(try apply(Accumulate(steps: 1), [(gradients, weight)]).outcomes[0].isApplied)
    }
}
