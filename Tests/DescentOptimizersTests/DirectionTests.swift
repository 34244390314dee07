import Descent
import DescentCore
import TestSupport
import Testing

/// What optimizers say about the way that they move.
@Suite struct DirectionTests {
    /// Moves along the direction of another optimizer, in two steps.
    private struct AlongDirection<Base: DirectionalOptimizer>: Optimizer {
        var base: Base
        var state: Base.State {
            get { base.state }
            set { base.state = newValue }
        }
        var name: String { base.name }
        var learningRate: Schedule { base.learningRate }
        var weightDecay: Base.WeightDecay { base.weightDecay }
        var groups: [ParameterGroup] { base.groups }
        var groupSettings: [GroupSettings.Name] { base.groupSettings }
        var slots: [Slot] { base.slots }
        mutating func configure(for layout: ParameterLayout) throws(DescentError) { try base.configure(for: layout) }
        mutating func prepare(appliedSteps: Int, missedSteps: [Int]) {
            base.prepare(appliedSteps: appliedSteps, missedSteps: missedSteps)
        }
        func update(_ block: inout some UpdateBlock) {
            base.makeDirection(&block)
            block.moveParameters()
        }
    }

    private static func alongDirection(_ optimizer: some DirectionalOptimizer) -> any Optimizer {
        AlongDirection(base: optimizer)
    }

    /// Those that have an update of their own besides their direction.
    static let fused: [any DirectionalOptimizer] = [
        SGD(learningRate: 0.1, weightDecay: 0.1), SGD(learningRate: 0.1, momentum: 0.9, nesterov: true),
        SGD(learningRate: 0.1, momentum: 0.9, dampening: 0.5, weightDecay: 0.1, maximize: true),
        Adam(learningRate: 0.01, weightDecay: 0.1), Adam(learningRate: 0.01, amsgrad: true, maximize: true),
        AdamW(learningRate: 0.01, weightDecay: 0.1, groups: [.vectorsWithoutDecay]),
        AdamW(learningRate: 0.01, amsgrad: true, maximize: true),
    ]

    private func makeLayout() throws -> ParameterLayout {
        try ParameterLayout([
            ParameterDescription("a", shape: [9, 7]), ParameterDescription("b", shape: [50]),
            ParameterDescription("c", shape: [2, 3, 20], outputAxis: .last), ParameterDescription("d", shape: [11, 1]),
        ])
    }

    /// Parameters and slots after some steps.
    private func train<Backend: TensorBackend>(
        _ optimizer: any Optimizer, on backend: Backend, _ tensors: (TensorSet) -> Backend.Tensors,
        _ values: (Backend.Tensors) -> [[Float]]
    ) throws -> (parameters: [Float], slots: [Float]) {
        let layout = try makeLayout()
        var parameters = tensors(.random(layout, seed: 1))
        var pipeline = try GradientPipeline(for: parameters, on: backend) {
            Centralize(); ClipByGlobalNorm(1)
        } driving: {
            optimizer
        }
        for step in 0..<4 as Range<UInt64> {
            let gradients = tensors(.random(layout, seed: step + 2))
            #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
        }
        let slots = try pipeline.slotNames.flatMap { try values(#require(pipeline.slot(named: $0))).joined() }
        return (Array(values(parameters).joined()), slots)
    }

    @Test(arguments: fused.indices) func `an update of one's own is a step along the direction, but for rounding`(
        _ index: Int
    ) throws {
        let optimizer = Self.fused[index]
        let backend = SIMDBackend(threads: 2, blockLength: 40, elementsPerThread: 16)
        let fused = try train(optimizer, on: backend, { $0 }, { $0.arrays })
        let moved = try train(Self.alongDirection(optimizer), on: backend, { $0 }, { $0.arrays })
        #expect(largestDifference(moved.parameters, fused.parameters) < 1e-6)
        #expect(largestDifference(moved.slots, fused.slots) < 1e-6)
        // The parameters are the smallest part of it: nothing else moves them by so much.
        let still = TensorSet.random(try makeLayout(), seed: 1).arrays.joined()
        #expect(largestDifference(Array(still), fused.parameters) > 1e-3)
    }

    @Test(arguments: fused.indices) func `directions are the same over the plain defaults`(_ index: Int) throws {
        let optimizer = Self.alongDirection(Self.fused[index])
        let backend = SIMDBackend(threads: 2, blockLength: 40, elementsPerThread: 16)
        let found = try train(optimizer, on: backend, { $0 }, { $0.arrays })
        let plain = try train(optimizer, on: PlainBackend(), { PlainTensors($0) }, { $0.values })
        #expect(largestDifference(found.parameters, plain.parameters) < 1e-5)
        #expect(largestDifference(found.slots, plain.slots) < 1e-5)
    }

    @Test(arguments: [ScheduleFreeAdamW(), LARS(learningRate: 1)] as [any Optimizer])
    func `behind an optimizer that moves in a way of its own, no stage may act on the update`(
        _ optimizer: any Optimizer
    ) throws {
        let parameters = TensorSet(zeros: try makeLayout())
        let error = #expect(throws: DescentError.self) {
            try Pipeline(for: parameters) {
            } driving: {
                optimizer.then { TrustRatio() }
            }
        }
        #expect(error?.message.contains(optimizer.name) == true, "\(String(describing: error))")
    }
}
