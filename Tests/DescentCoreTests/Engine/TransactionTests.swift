import Descent
import DescentCore
import Synchronization
import TestSupport
import Testing

/// What a call that throws, or a micro-batch that is abandoned, leaves behind: nothing.
@Suite struct TransactionTests {
    /// Throws, or vetoes, in `prepare` or `finish` of the steps that a closure picks.
    struct Troublemaker: GradientTransform {
        var when: Moment
        var state = Count()

        struct Count: Codable, Sendable { var calls = 0 }
        enum Moment: Sendable { case prepare(Int), finish(Int) }

        var requirements: [Requirement] { [.norm(.l2)] }
        func transform(_ block: inout some GradientBlock) {}

        mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {
            state.calls += 1
            guard case .prepare(state.calls) = when else { return }
            throw DescentError(DescentError.Code("trouble"), stage: name, "as was asked for")
        }

        mutating func finish(_ result: StepResult) throws(DescentError) {
            guard case .finish(result.isApplied ? 1 : 0) = when else { return }
            throw DescentError(DescentError.Code("trouble"), stage: name, "as was asked for")
        }
    }

    let layout: ParameterLayout
    let backend = SIMDBackend(threads: 1, blockLength: 4)

    init() throws {
        layout = try ParameterLayout([
            ParameterDescription("a", shape: [2, 3]), ParameterDescription("none", shape: [0, 3]),
            ParameterDescription("b", shape: [6]),
        ])
    }

    private func gradients(_ seed: UInt64) -> TensorSet { TensorSet.random(layout, seed: seed) }

    private func makePipeline(
        _ parameters: TensorSet, _ stages: [any Stage]
    ) throws -> Pipeline {
        try Pipeline(for: parameters, on: backend) {
            Accumulate(steps: 2)
            stages
            ClipByGlobalNorm(0.5)
        } driving: {
            SGD(learningRate: 0.1, momentum: 0.5)
        }
    }

    @Test(arguments: [false, true]) func `a throw in prepare leaves the window as it was, and the step can be retried`(
        _ streams: Bool
    ) throws {
        var (parameters, expected) = (gradients(1), gradients(1))
        var plain = try makePipeline(expected, [])
        var pipeline = try makePipeline(parameters, [Troublemaker(when: .prepare(1))])
        func feed(_ pipeline: inout Pipeline, _ parameters: inout TensorSet, _ seed: UInt64) throws -> StepOutcome {
            guard streams else { return try pipeline.step(&parameters, gradients: gradients(seed)) }
            for index in [2, 0] { try pipeline.receive(gradients(seed), of: index) }
            return try pipeline.step(&parameters)
        }
        for seed in [UInt64(2), 3] { _ = try feed(&plain, &expected, seed) }
        _ = try feed(&pipeline, &parameters, 2)
        let before = parameters.bits
        var arrived = false
        #expect(throws: DescentError.self) {
            if streams { for index in [2, 0] { try pipeline.receive(gradients(3), of: index) } }
            arrived = true
            _ = streams ? try pipeline.step(&parameters) : try pipeline.step(&parameters, gradients: gradients(3))
        }
        #expect(arrived)
        #expect(parameters.bits == before)
        #expect(pipeline.appliedSteps == 0 && pipeline.skippedSteps == 0)
        let outcome = streams ? try pipeline.step(&parameters) : try feed(&pipeline, &parameters, 3)
        #expect(outcome.isApplied)
        #expect(parameters.bits == expected.bits)
    }

    /// Keeps the sum of all gradients that pass by.
    struct Tally: GradientTransform {
        var slots: [Slot] { ["tally"] }
        var canFail: Bool { false }
        func transform(_ block: inout some GradientBlock) {
            block.withElementsAndSlot { elements, tally in
                for index in elements.indices { tally[index] += elements[index] }
            }
        }
    }

    /// Vetoes every step.
    struct Vetoer: GradientTransform {
        let measures: Bool
        let canFail: Bool
        var requirements: [Requirement] { measures ? [.norm(.l2)] : [] }
        func transform(_ block: inout some GradientBlock) {}
        func prepare(_ step: inout StepPreparation) { step.veto("always") }
    }

    @Test(arguments: [false, true], [false, true])
    func `stages in front of a window remember what became part of it, also where it is vetoed`(
        _ measures: Bool, _ canFail: Bool
    ) throws {
        var parameters = gradients(1)
        var pipeline = try Pipeline(for: parameters, on: backend) {
            Tally()
            Accumulate(steps: 2)
            Vetoer(measures: measures, canFail: canFail)
        } driving: {
            SGD(learningRate: 0.1)
        }
        for seed in 2..<6 as Range<UInt64> { _ = try pipeline.step(&parameters, gradients: gradients(seed)) }
        #expect(pipeline.skippedSteps == 2)
        var sum = gradients(2)
        for seed in 3..<6 as Range<UInt64> {
            let next = gradients(seed)
            for parameter in layout { sum[parameter.name] = zip(sum[parameter.name], next[parameter.name]).map(+) }
        }
        let slot = try #require(pipeline.slotNames.first { $0.hasSuffix("tally") })
        #expect(try #require(pipeline.slot(named: slot)) == sum)
    }

    @Test(arguments: [0, 1, 2, 3], [1, 2, 3])
    func `stages in front of a window do not remember what is not finite`(_ behind: Int, _ length: Int) throws {
        var parameters = gradients(1)
        var pipeline = try Pipeline(for: parameters, on: backend) {
            Tally()
            Accumulate(steps: length)
            if behind == 1 { Vetoer(measures: true, canFail: false) }
            if behind == 2 { ClipByGlobalNorm(1) }
            if behind == 3 { Troublemaker(when: .finish(7)) }
        } driving: {
            SGD(learningRate: 0.1)
        }
        for seed in 2..<8 as Range<UInt64> {
            var next = gradients(seed)
            if seed == 3 || seed == 4 { next["b"][2] = .nan }
            _ = try pipeline.step(&parameters, gradients: next)
        }
        #expect(pipeline.skippedSteps > 0)
        let slot = try #require(pipeline.slotNames.first { $0.hasSuffix("tally") })
        let tally = try #require(pipeline.slot(named: slot))
        #expect(tally["b"].allSatisfy { $0.isFinite })
    }

    @Test func `a throw in finish comes when the step has been taken`() throws {
        var (parameters, expected) = (gradients(1), gradients(1))
        var plain = try makePipeline(expected, [])
        var pipeline = try makePipeline(parameters, [Troublemaker(when: .finish(1))])
        let events = Counter()
        pipeline.observe { _ in events.count() }
        for seed in [UInt64(2), 3] { _ = try plain.step(&expected, gradients: gradients(seed)) }
        _ = try pipeline.step(&parameters, gradients: gradients(2))
        #expect(throws: DescentError.self) { _ = try pipeline.step(&parameters, gradients: gradients(3)) }
        #expect(parameters.bits == expected.bits)
        #expect(pipeline.appliedSteps == 1)
        #expect(events.value == 2)
        #expect(try pipeline.flush(&parameters) == nil)
    }

    @Test func `a window is not closed while gradients arrive`() throws {
        var parameters = gradients(1)
        var pipeline = try makePipeline(parameters, [])
        _ = try pipeline.step(&parameters, gradients: gradients(2))
        try pipeline.receive(gradients(3), of: 0)
        let before = parameters.bits
        let error = #expect(throws: DescentError.self) { _ = try pipeline.flush(&parameters) }
        #expect(error?.code == .incompleteMicroBatch)
        #expect(parameters.bits == before)
        try pipeline.receive(gradients(3), of: 2)
        #expect(try pipeline.step(&parameters).isApplied)
    }

    @Test(arguments: [1, 2, 3]) func `an abandoned micro-batch is as if it had never begun`(_ steps: Int) throws {
        var (parameters, expected) = (gradients(1), gradients(1))
        func make(_ parameters: TensorSet) throws -> Pipeline {
            try Pipeline(for: parameters, on: backend) {
                Accumulate(steps: steps, reduction: .weighted)
                ClipByGlobalNorm(0.5)
            } driving: {
                SGD(learningRate: 0.1, momentum: 0.5)
            }
        }
        var (pipeline, plain) = (try make(parameters), try make(expected))
        for seed in 2..<UInt64(2 + 2 * steps) {
            try pipeline.receive(gradients(seed + 50), of: 2, weight: 9)
            if seed.isMultiple(of: 2) { try pipeline.receive(gradients(seed + 50), of: 0, weight: 9) }
            pipeline.discardReceived()
            for index in [2, 0] { try pipeline.receive(gradients(seed), of: index, weight: Double(seed)) }
            _ = try pipeline.step(&parameters)
            for index in [0, 2] { try plain.receive(gradients(seed), of: index, weight: Double(seed)) }
            _ = try plain.step(&expected)
        }
        #expect(pipeline.appliedSteps == 2)
        #expect(parameters.bits == expected.bits)
    }

    @Test func `a tensor without elements is received like any other, once`() throws {
        var parameters = gradients(1)
        var pipeline = try makePipeline(parameters, [])
        for index in [1, 0, 2] { try pipeline.receive(gradients(2), of: index) }
        let error = #expect(throws: DescentError.self) { try pipeline.receive(gradients(2), of: 1) }
        #expect(error?.code == .duplicateParameter)
        _ = try pipeline.step(&parameters)
        for index in [0, 2] { try pipeline.receive(gradients(3), of: index) }
        #expect(try pipeline.step(&parameters).isApplied)
    }

    @Test(arguments: [-1, 3, 99]) func `a position that no parameter has is refused`(_ position: Int) throws {
        var pipeline = try makePipeline(gradients(1), [])
        let error = #expect(throws: DescentError.self) { try pipeline.receive(gradients(2), of: position) }
        #expect(error?.code == .unexpectedParameter)
        #expect(try pipeline.state.appliedSteps == 0)
    }

    @Test func `a pipeline tells of the window that is open`() throws {
        var parameters = gradients(1)
        var pipeline = try makePipeline(parameters, [])
        _ = try pipeline.step(&parameters, gradients: gradients(2))
        #expect(pipeline.window?.received == 1)
    }
}

/// Counts calls, from any thread.
final class Counter: Sendable {
    private let total = Mutex(0)
    func count() { total.withLock { $0 += 1 } }
    var value: Int { total.withLock { $0 } }
}
