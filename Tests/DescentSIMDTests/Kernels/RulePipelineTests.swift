import Descent
import TestSupport
import Testing

/// Optimizers with kernels, in pipelines, against their own formulas.
@Suite struct RulePipelineTests {
    /// An optimizer that keeps to itself which kernel does what it does.
    private struct WithoutKernel<Base: Optimizer>: Optimizer {
        var base: Base
        var state: Base.State {
            get { base.state }
            set { base.state = newValue }
        }
        var name: String { base.name }
        var learningRate: Schedule { base.learningRate }
        var weightDecay: Base.WeightDecay { base.weightDecay }
        var slots: [Slot] { base.slots }
        var requirements: [Requirement] { base.requirements }
        var hasDirection: Bool { base.hasDirection }
        mutating func configure(for layout: ParameterLayout) throws(DescentError) { try base.configure(for: layout) }
        mutating func prepare(_ step: inout StepPreparation) throws(DescentError) { try base.prepare(&step) }
        func measure(_ measurement: TensorMeasurement, of block: inout some UpdateBlock) -> Double {
            base.measure(measurement, of: &block)
        }
        func turnIntoDirection(_ block: inout some UpdateBlock) { base.turnIntoDirection(&block) }
        func update(_ block: inout some UpdateBlock) { base.update(&block) }
        mutating func finish(_ result: StepResult) throws(DescentError) { try base.finish(result) }
    }

    private static func withoutKernel(_ optimizer: some Optimizer) -> any Optimizer { WithoutKernel(base: optimizer) }

    /// How a run differs from others.
    enum Kind: CaseIterable {
        case plain, centered, behindStage, bfloat16, zeros
    }

    /// The bits of parameters and slots after some steps.
    private func train(_ optimizer: any Optimizer, _ kind: Kind, _ level: InstructionSet) throws -> [UInt32] {
        let layout = try ParameterLayout([
            ParameterDescription("a", shape: [9, 7]), ParameterDescription("b", shape: [50]),
            ParameterDescription("c", shape: [2, 3, 20], outputAxis: .last), ParameterDescription("d", shape: [11, 1]),
        ])
        var parameters = TensorSet.random(layout, seed: 1)
        let driving: any Driving = kind == .behindStage ? optimizer.then { TrustRatio() } : optimizer
        let stages: [any Stage] = kind == .centered ? [Centralize(), ClipByGlobalNorm(1)] : []
        let backend = SIMDBackend(threads: 2, blockLength: 40, elementsPerThread: 16, instructionSet: level)
        var pipeline = try Pipeline(for: parameters, on: backend) {
            stages
        } driving: {
            driving
        }
        var applied: [UInt32] = []
        for step in 0..<7 as Range<UInt64> {
            var gradients = TensorSet.random(layout, seed: step + 2)
            if kind == .zeros { gradients = gradients.pruned(seed: step) }
            if kind == .bfloat16 {
                var stored = TensorSet(zeros: layout, .bfloat16)
                for parameter in layout { stored[parameter.name] = gradients[parameter.name] }
                gradients = stored
            }
            let outcome = try pipeline.step(&parameters, gradients: gradients)
            // Whatever goes beyond float32 does so with and without a kernel.
            if step == 0, case .skipped(let reason) = outcome { Issue.record("the first step is skipped: \(reason)") }
            applied.append(outcome.isApplied ? 1 : 0)
        }
        return try applied + parameters.bits
            + pipeline.slotNames.flatMap { try #require(pipeline.slot(named: $0)).bits }
    }

    @Test(arguments: RuleExample.all, Kind.allCases) func `pipelines give the bits of the optimizer's own formula`(
        _ example: RuleExample, _ kind: Kind
    ) throws {
        guard kind != .behindStage || example.optimizer.hasDirection else { return }
        let expected = try train(Self.withoutKernel(example.optimizer), kind, .portable)
        for level in InstructionSet.allCases where level.isAvailable {
            let found = try train(example.optimizer, kind, level)
            #expect(found == expected, "\(level)")
        }
    }
}
