import DescentCore
import MLX

/// A micro-batch: a model, and gradients of its parameters.
struct MicroBatch {
    let model: LentModel
    let gradients: LentArrays
    let weight: Double
    /// What the loss was multiplied by, to have it checked.
    let lossScale: Float?
    let closesWindow: Bool
}

/// The way from gradients to a model: by a pipeline, or by a chain and an optimizer of MLX's.
protocol UpdateRoute: AnyObject {
    var layout: ParameterLayout { get }
    var configuration: PipelineConfiguration { get }
    var lossScale: Float { get }
    var appliedSteps: Int { get }
    var skippedSteps: Int { get }
    var window: AccumulationWindow? { get }

    /// Takes in a micro-batch and, if that closes the window, updates the model.
    func step(_ batch: MicroBatch) throws(DescentError) -> StepOutcome
    /// Closes an open window early; nil if none is open.
    func flush(_ model: LentModel) throws(DescentError) -> StepOutcome?
    /// Goes on with other parameters, of which what is still there keeps its state.
    func relayout(for layout: ParameterLayout, parameters: LentArrays) throws(DescentError)
    func checkpoint(to path: String, metadata: [String: String]) throws(DescentError)
    func explain() -> String
    /// The arrays of MLX's that it remembers.
    func innerState() -> [MLXArray]
}
