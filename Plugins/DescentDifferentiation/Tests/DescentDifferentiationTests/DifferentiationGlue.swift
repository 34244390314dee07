import Descent
import DescentDifferentiation

/// A chain and Adam for the host's model.
func makeHostOptimizer(for model: HostModel, window: Int) throws -> ModelOptimizer<HostModel> {
    // MARK: Glue
    try ModelOptimizer(
        for: model,
        parameters: [
            ModelParameter(\.first.weight, \.first.weight, shape: [3, 2]),
            ModelParameter(\.first.bias, \.first.bias),
            ModelParameter(\.second.weight, \.second.weight, shape: [2, 3]),
            ModelParameter(\.second.bias, \.second.bias),
            ModelParameter(\.gain, \.gain),
        ]
    ) {
        Accumulate(steps: window)
        ClipByGlobalNorm(1)
    } driving: {
        Adam(learningRate: 0.01)
    }
    // MARK: End of glue
}
