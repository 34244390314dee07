import Descent
import DescentCore
import TestSupport
import Testing

/// A pipeline that goes on from what another one remembered.
@Suite struct StateTests {
    private let layout: ParameterLayout

    init() throws { layout = try makeLayout([[6, 5], [6]]) }

    private func makePipeline(
        _ stages: [any Stage], driving optimizer: any Driving = AdamW(),
        resuming state: PipelineState<TensorSet>? = nil, _ policy: ResumptionPolicy = .sameStages
    ) throws -> Pipeline {
        let parameters = TensorSet(zeros: state?.layout ?? layout)
        guard let state else {
            return try Pipeline(for: parameters) {
                stages
            } driving: {
                optimizer
            }
        }
        return try Pipeline(resuming: state, policy, for: parameters) {
            stages
        } driving: {
            optimizer
        }
    }

    /// Windows are open after many of these steps, histories are growing, and scales have moved.
    @Test(arguments: 0..<150 as Range<UInt64>) func `resumed after any step, training gives the bits of never stopping`(
        _ seed: UInt64
    ) throws {
        let test = try RandomCase(seed: seed)
        let backend = SIMDBackend(threads: 2, blockLength: 24, elementsPerThread: 16)
        var parameters = TensorSet.random(test.layout, seed: seed)
        var undisturbed = try Pipeline(for: parameters, on: backend) {
            test.stages
        } driving: {
            test.optimizer
        }
        var resumed = undisturbed
        var resumedParameters = parameters
        for step in 0..<8 as Range<UInt64> {
            let gradients = test.gradients(seed: seed &* 100 &+ step, spoiled: true)
            resumed = try Pipeline(resuming: resumed.state, for: resumedParameters, on: backend) {
                test.stages
            } driving: {
                test.optimizer
            }
            let weight = Double(step + 1)
            let expected = try undisturbed.step(&parameters, gradients: gradients, weight: weight)
            let outcome = try resumed.step(&resumedParameters, gradients: gradients, weight: weight)
            #expect(outcome.details == expected.details, "step \(step) of \(test.description)")
            #expect(resumedParameters.bits == parameters.bits, "step \(step) of \(test.description)")
            for name in undisturbed.slotNames {
                #expect(resumed.slot(named: name)?.bits == undisturbed.slot(named: name)?.bits, "\(name)")
            }
        }
        #expect(resumed.appliedSteps == undisturbed.appliedSteps)
        #expect(resumed.skippedSteps == undisturbed.skippedSteps)
        #expect(resumed.lossScale == undisturbed.lossScale)
    }

    @Test func `a chain alone goes on, too`() throws {
        var chain = try Chain(for: layout) {
            Accumulate(steps: 3)
            ClipByPercentile(50)
        }
        for step in 0..<5 as Range<UInt64> {
            var gradients = TensorSet.random(layout, seed: step)
            var same = gradients
            var resumed = try Chain(resuming: chain.state, for: layout) {
                Accumulate(steps: 3)
                ClipByPercentile(50)
            }
            _ = try chain.transform(&gradients)
            _ = try resumed.transform(&same)
            #expect(same.bits == gradients.bits)
        }
        #expect(chain.appliedSteps == 1)
    }

    @Test func `a state does not change while the pipeline goes on`() throws {
        var pipeline = try makePipeline([])
        var parameters = TensorSet.random(layout, seed: 1)
        _ = try pipeline.step(&parameters, gradients: .random(layout, seed: 2))
        let state = try pipeline.state
        let before = state.components[0].slots.map(\.tensors.bits)
        _ = try pipeline.step(&parameters, gradients: .random(layout, seed: 3))
        #expect(state.components[0].slots.map(\.tensors.bits) == before)
        #expect(state.appliedSteps == 1)
    }

    @Test func `settings may change`() throws {
        let state = try makePipeline([ClipByGlobalNorm(1)]).state
        let resumed = try makePipeline([ClipByGlobalNorm(2)], driving: AdamW(learningRate: 0.5), resuming: state)
        #expect(resumed.explain().contains("ClipByGlobalNorm(2.0)"))
    }

    @Test func `a chain that has changed is refused, and the difference spelled out`() throws {
        let state = try makePipeline([Unscale(), Centralize(), ClipByGlobalNorm(1)]).state
        let changed = thrownError {
            _ = try makePipeline([Unscale(), ClipByGlobalNorm(1), Normalize(), Centralize()], resuming: state)
        }
        #expect(changed?.code == .stateMismatch)
        #expect(
            changed?.message == """
                The state is that of another chain. Saved: Unscale, Centralize, ClipByGlobalNorm, AdamW. Now: Unscale, \
                ClipByGlobalNorm, Normalize, Centralize, AdamW. Since then, added: Normalize; moved: Centralize. \
                Build the chain that was saved, or resume `.matchingStages`.
                """)
        let optimizer = thrownError {
            _ = try makePipeline([Unscale()], driving: SGD(learningRate: 1), resuming: state)
        }
        #expect(optimizer?.message.contains("removed: Centralize, ClipByGlobalNorm, AdamW; added: SGD") == true)
    }

    @Test func `what still fits is kept, if that is asked for`() throws {
        var pipeline = try makePipeline([Accumulate(steps: 4), Unscale(.dynamic(initial: 8)), Centralize()])
        var parameters = TensorSet.random(layout, seed: 1)
        for step in 0..<6 as Range<UInt64> {
            _ = try pipeline.step(&parameters, gradients: .random(layout, seed: step + (step == 1 ? 0 : 9)))
        }
        let state = try pipeline.state
        let resumed = try makePipeline(
            [Accumulate(steps: 4), ClipByGlobalNorm(1)], driving: AdamW(amsgrad: true), resuming: state, .matchingStages
        )
        #expect(resumed.appliedSteps == 1)
        #expect(
            resumed.slot(named: "Accumulate(steps: 4, mean).sum")?.bits
                == pipeline.slot(named: "Accumulate(steps: 4, mean).sum")?.bits)
        // An optimizer that keeps other buffers starts afresh.
        #expect(resumed.slot(named: "AdamW.first moment")?.bits.allSatisfy { $0 == 0 } == true)
        let optimizer = thrownError {
            _ = try makePipeline(
                [Accumulate(steps: 4), Unscale(), Centralize()], driving: AdamW(amsgrad: true), resuming: state)
        }
        #expect(optimizer?.code == .stateMismatch)
        #expect(
            optimizer?.message == """
                AdamW keeps other buffers than were saved of AdamW: it keeps "first moment" in float32, \
                "second moment" in float32, "largest second moment" in float32; saved were "first moment" in float32, \
                "second moment" in float32.
                """)
    }

    @Test func `another layout is refused, by the name of the parameter that differs`() throws {
        let state = try makePipeline([]).state
        func code(_ shapes: [[Int]], names: [String]) throws -> (DescentError.Code?, String?) {
            let parameters = TensorSet(
                zeros: try ParameterLayout(zip(names, shapes).map { try ParameterDescription($0, shape: $1) }))
            for policy in [ResumptionPolicy.sameStages, .matchingStages] {
                let error = thrownError {
                    _ = try Pipeline(resuming: state, policy, for: parameters) {
                    } driving: {
                        AdamW()
                    }
                }
                if policy == .matchingStages { return (error?.code, error?.parameter) }
                try #require(error != nil)
            }
            return (nil, nil)
        }
        let names = layout.map(\.name)
        #expect(try code([[6, 4], [6]], names: names) == (.shapeMismatch, names[0]))
        #expect(try code([[6, 5], [6], [1]], names: names + ["more"]) == (.missingParameter, "more"))
        #expect(try code([[6, 5]], names: [names[0]]) == (.unexpectedParameter, names[1]))
        #expect(try code([[6], [6, 5]], names: names.reversed()) == (.orderMismatch, nil))
    }

    @Test func `a micro-batch that is still arriving cannot be saved`() throws {
        var pipeline = try makePipeline([])
        try pipeline.receive(TensorSet.random(layout, seed: 1), of: 1)
        let error = thrownError { _ = try pipeline.state }
        #expect(error?.code == .incompleteMicroBatch)
        #expect(error?.message == "1 of 2 gradients of a micro-batch have arrived, which cannot be saved. Step first.")
    }

    @Test func `a shared loss scale is resumed`() throws {
        let scale = try SharedLossScale(.dynamic(initial: 64, growthInterval: 1))
        var parameters = TensorSet.random(layout, seed: 1)
        var pipeline = try makePipeline([Unscale(scale)])
        _ = try pipeline.step(&parameters, gradients: .random(layout, seed: 2))
        try scale.update()
        let fresh = try SharedLossScale(.dynamic(initial: 64, growthInterval: 1))
        let resumed = try makePipeline([Unscale(fresh)], resuming: pipeline.state)
        #expect(fresh.scale == 128)
        #expect(resumed.lossScale == 128)
    }
}
