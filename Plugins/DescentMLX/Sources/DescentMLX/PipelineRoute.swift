import DescentCheckpoints
import DescentCore
import DescentSIMD
import MLX

/// A pipeline that writes a model's updated parameters to new arrays.
final class PipelineRoute: UpdateRoute {
    var pipeline: GradientPipeline<SIMDBackend>
    private var blanks = BlankArrays()

    init(_ pipeline: GradientPipeline<SIMDBackend>) { self.pipeline = pipeline }

    var layout: ParameterLayout { pipeline.layout }
    var configuration: PipelineConfiguration { pipeline.configuration }
    var lossScale: Float { pipeline.lossScale }
    var appliedSteps: Int { pipeline.appliedSteps }
    var skippedSteps: Int { pipeline.skippedSteps }
    var window: AccumulationWindow? { pipeline.window }

    func step(_ batch: MicroBatch) throws(DescentError) -> StepOutcome {
        let old = batch.model.parameters
        let updated = try blanks.take(for: old)
        let outcome = try updated.withTensors(beside: old) { updated, old throws(DescentError) in
            try batch.gradients.withTensors { gradients throws(DescentError) in
                try pipeline.step(
                    unsafeParameters: old, into: updated, unsafeGradients: gradients, weight: batch.weight,
                    lossScale: batch.lossScale, closingWindow: batch.closesWindow)
            }
        }
        publish(updated, to: batch.model, after: outcome)
        return outcome
    }

    func flush(_ model: LentModel) throws(DescentError) -> StepOutcome? {
        let updated = try blanks.take(for: model.parameters)
        let outcome = try updated.withTensors(beside: model.parameters) { updated, old throws(DescentError) in
            try pipeline.flush(unsafeParameters: old, into: updated)
        }
        publish(updated, to: model, after: outcome)
        return outcome
    }

    /// Has the model take arrays, if a step has written them.
    private func publish(_ updated: LentArrays, to model: LentModel, after outcome: StepOutcome?) {
        switch outcome {
        case .applied, .diverged: model.take(updated.arrays)
        case .accumulated, .skipped, nil: blanks.keep(updated)
        }
    }

    func relayout(for layout: ParameterLayout, parameters: LentArrays) throws(DescentError) {
        try parameters.withTensorSet(layout) { set throws(DescentError) in try pipeline.relayout(for: set) }
        blanks = BlankArrays()
    }

    func checkpoint(to path: String, metadata: [String: String]) throws(DescentError) {
        try pipeline.checkpoint(to: path, metadata: metadata)
    }

    func explain() -> String { pipeline.explain() }

    /// None: a pipeline's memory is its own.
    func innerState() -> [MLXArray] { [] }
}
