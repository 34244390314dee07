import Descent
import Synchronization
import TestSupport
import Testing

/// A stage that throws in the middle of a step.
@Suite struct ThrowingStageTests {
    /// Throws as it is prepared, when it is told to.
    private struct Throws: GradientScaling {
        enum Moment: Sendable { case never, prepare }

        final class Switch: Sendable {
            private let mutex = Mutex(Moment.never)
            var moment: Moment {
                get { mutex.withLock { $0 } }
                set { mutex.withLock { $0 = newValue } }
            }
        }

        let isTold: Switch
        var requirements: [Requirement] { [.norm(.l2)] }

        mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {
            try DescentError.require(isTold.moment != .prepare, name, "told to throw")
            step.scale(by: 0.5)
        }
    }

    private let layout: ParameterLayout

    init() throws { layout = try makeLayout([[4, 3], [4]]) }

    @Test func `a throw in prepare changes nothing, and the next step is what it would have been`() throws {
        let told = Throws.Switch()
        var parameters = TensorSet.random(layout, seed: 1)
        var pipeline = try Pipeline(for: parameters) {
            ClipByGlobalNorm(1)
            Throws(isTold: told)
            ClipByZScore(warmup: 1)
        } driving: {
            AdamW()
        }
        _ = try pipeline.step(&parameters, gradients: .random(layout, seed: 2))
        var undisturbed = pipeline
        var expected = parameters
        let bits = parameters.bits
        let state = try pipeline.state

        told.moment = .prepare
        let error = #expect(throws: DescentError.self) {
            try pipeline.step(&parameters, gradients: .random(layout, seed: 3))
        }
        #expect(error?.code == .invalidSetting)
        #expect(error?.stage == "Throws")
        #expect(parameters.bits == bits)
        #expect((pipeline.appliedSteps, pipeline.skippedSteps) == (1, 0))
        for (component, before) in zip(try pipeline.state.components, state.components) {
            #expect("\(component.state)" == "\(before.state)")
            #expect(component.slots.map(\.tensors.bits) == before.slots.map(\.tensors.bits))
        }

        told.moment = .never
        for seed: UInt64 in 4..<7 {
            let outcome = try pipeline.step(&parameters, gradients: .random(layout, seed: seed))
            #expect(try outcome.details == undisturbed.step(&expected, gradients: .random(layout, seed: seed)).details)
            #expect(outcome.isApplied)
        }
        #expect(parameters.bits == expected.bits)
    }

    @Test func `a chain alone leaves the gradients as they were`() throws {
        let told = Throws.Switch()
        told.moment = .prepare
        var gradients = TensorSet.random(layout, seed: 1)
        let bits = gradients.bits
        var chain = try Chain(for: layout) {
            ClipByValue(0.1)
            Throws(isTold: told)
        }
        #expect(throws: DescentError.self) { try chain.transform(&gradients) }
        #expect(gradients.bits == bits)
        told.moment = .never
        #expect(try chain.transform(&gradients).isApplied)
        #expect(gradients.bits != bits)
    }
}
