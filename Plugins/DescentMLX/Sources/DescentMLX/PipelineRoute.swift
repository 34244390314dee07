import DescentCheckpoints
import DescentCore
import DescentSIMD
import MLX
import MLXNN

/// A pipeline that updates a model's parameters, which become new arrays.
final class PipelineRoute: UpdateRoute {
    var pipeline: GradientPipeline<SIMDBackend>

    init(_ pipeline: GradientPipeline<SIMDBackend>) { self.pipeline = pipeline }

    var layout: ParameterLayout { pipeline.layout }
    var configuration: PipelineConfiguration { pipeline.configuration }
    var lossScale: Float { pipeline.lossScale }
    var appliedSteps: Int { pipeline.appliedSteps }
    var skippedSteps: Int { pipeline.skippedSteps }
    var window: AccumulationWindow? { pipeline.window }

    func step(_ batch: MicroBatch) throws(DescentError) -> StepOutcome {
        let updated = try batch.parameters.copied()
        let outcome = try updated.withTensors { parameters throws(DescentError) in
            try batch.gradients.withTensors { gradients throws(DescentError) in
                try pipeline.step(
                    unsafeParameters: parameters, unsafeGradients: gradients, weight: batch.weight,
                    lossScale: batch.lossScale, closingWindow: batch.closesWindow)
            }
        }
        if outcome.hasUpdated { batch.model.publish(updated.arrays, for: layout) }
        return outcome
    }

    func flush(_ model: Module, parameters: LentArrays) throws(DescentError) -> StepOutcome? {
        let layout = layout
        let updated = try parameters.copied()
        let outcome = try updated.withTensors { parameters throws(DescentError) in
            try TensorSet.withUnsafeTensors(parameters, layout: layout) { parameters throws(DescentError) in
                try pipeline.flush(&parameters)
            }
        }
        if outcome?.hasUpdated ?? false { model.publish(updated.arrays, for: layout) }
        return outcome
    }

    func relayout(for layout: ParameterLayout, parameters: LentArrays) throws(DescentError) {
        try parameters.withTensors { tensors throws(DescentError) in
            try TensorSet.withUnsafeTensors(tensors, layout: layout) { parameters throws(DescentError) in
                try pipeline.relayout(for: parameters)
            }
        }
    }

    func checkpoint(to path: String, metadata: [String: String]) throws(DescentError) {
        try pipeline.checkpoint(to: path, metadata: metadata)
    }

    func explain() -> String { pipeline.explain() }

    /// None: a pipeline's memory is its own.
    func innerState() -> [MLXArray] { [] }
}

extension StepOutcome {
    /// Whether parameters have been updated, be it to numbers that are not finite.
    fileprivate var hasUpdated: Bool {
        switch self {
        case .applied, .diverged: true
        case .accumulated, .skipped: false
        }
    }
}
