import DescentCheckpoints
import DescentCore
import DescentSIMD
import MLX
import MLXOptimizers

/// A chain in front of an optimizer of MLX's, which is handed transformed gradients as new arrays.
final class ChainRoute: UpdateRoute {
    var chain: GradientChain<SIMDBackend>
    private let base: any MLXOptimizers.Optimizer
    private var blanks = BlankArrays()

    /// - Throws: `DescentError` with code `invalidSetting` where gradients that are absent are to be left out, which MLX's
    ///   optimizers would not learn of.
    init(_ chain: GradientChain<SIMDBackend>, _ base: any MLXOptimizers.Optimizer) throws(DescentError) {
        guard chain.configuration.missing != .skipParameter else {
            throw DescentError(
                .invalidSetting,
                "An optimizer of MLX's updates what it is handed, so that no parameter can be left out of a step. Take "
                    + "missing: .zero, or one of Descent's optimizers.")
        }
        (self.chain, self.base) = (chain, base)
    }

    var layout: ParameterLayout { chain.layout }
    var configuration: PipelineConfiguration { chain.configuration }
    var lossScale: Float { chain.lossScale }
    var appliedSteps: Int { chain.appliedSteps }
    var skippedSteps: Int { chain.skippedSteps }
    var window: AccumulationWindow? { chain.window }

    func step(_ batch: MicroBatch) throws(DescentError) -> StepOutcome {
        // Transformed gradients have the types of the parameters, as MLX's own gradients do.
        let results = try blanks.take(for: batch.model.parameters)
        let outcome = try results.withTensors(beside: batch.model.parameters) {
            results, parameters throws(DescentError) in
            try batch.gradients.withTensors { gradients throws(DescentError) in
                try chain.transform(
                    unsafeGradients: gradients, into: results, unsafeParameters: parameters, weight: batch.weight,
                    lossScale: batch.lossScale, closingWindow: batch.closesWindow)
            }
        }
        update(batch.model, along: results, after: outcome)
        return outcome
    }

    func flush(_ model: LentModel) throws(DescentError) -> StepOutcome? {
        let results = try blanks.take(for: model.parameters)
        let outcome = try results.withTensors(beside: model.parameters) { results, parameters throws(DescentError) in
            try chain.flush(into: results, unsafeParameters: parameters)
        }
        update(model, along: results, after: outcome)
        return outcome
    }

    /// Has MLX's optimizer update the model, if a step has been applied.
    private func update(_ model: LentModel, along gradients: LentArrays, after outcome: StepOutcome?) {
        guard outcome?.isApplied ?? false else { return blanks.keep(gradients) }
        base.update(model: model.model, gradients: model.structured(gradients.arrays))
    }

    func relayout(for layout: ParameterLayout, parameters: LentArrays) throws(DescentError) {
        try chain.relayout(for: layout)
        blanks = BlankArrays()
    }

    func checkpoint(to path: String, metadata: [String: String]) throws(DescentError) {
        try chain.checkpoint(to: path, metadata: metadata)
    }

    func explain() -> String { chain.explain() }

    func innerState() -> [MLXArray] { base.innerState() }
}
