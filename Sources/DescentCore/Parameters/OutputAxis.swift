/// Which dimension of a parameter is the output unit, over which row-wise stages count rows.
public enum OutputAxis: String, Sendable, Hashable, Codable, CaseIterable {
    /// Dimension 0, as in PyTorch and MLX: (output, input), (output, input, height, width).
    case first
    /// The last dimension, as in TensorFlow and Flax: (input, output), (height, width, input, output).
    case last
}
