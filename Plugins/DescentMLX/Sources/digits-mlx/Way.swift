import Descent
import DescentMLX
import MLX
import MLXNN
import MLXOptimizers

/// A way to clip gradients to a global norm of 1 and take a step of AdamW.
enum Way: String, CaseIterable {
    case operations = "MLX's clipGradNorm and AdamW"
    case chain = "DescentOptimizer, a chain in front of MLX's AdamW"
    case pipeline = "DescentOptimizer, a chain and Descent's AdamW"

    private static let rate: Float = 0.003
    private static let decay: Float = 0.01

    /// An optimizer for a model.
    func makeOptimizer(for model: Module) throws -> any MLXOptimizers.Optimizer {
        let theirs = MLXOptimizers.AdamW(learningRate: Self.rate, weightDecay: Self.decay, biasCorrection: true)
        switch self {
        case .operations: return Clipping(theirs)
        case .chain: return try DescentOptimizer(theirs, for: model) { ClipByGlobalNorm(1) }
        case .pipeline:
            return try DescentOptimizer(for: model) {
                ClipByGlobalNorm(1)
            } driving: {
                Descent.AdamW(learningRate: Self.rate.schedule, weightDecay: Self.decay)
            }
        }
    }
}

/// An optimizer of MLX's behind MLX's own clipping.
private final class Clipping: MLXOptimizers.Optimizer {
    private let base: any MLXOptimizers.Optimizer

    init(_ base: any MLXOptimizers.Optimizer) { self.base = base }

    func update(model: Module, gradients: ModuleParameters) {
        let named = gradients.flattened()
        let (clipped, _) = clipGradNorm(gradients: named.map(\.1), maxNorm: 1)
        base.update(model: model, gradients: .unflattened(Array(zip(named.map(\.0), clipped))))
    }

    func innerState() -> [MLXArray] { base.innerState() }
}
