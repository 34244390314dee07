package import Descent

/// A transformer that predicts each next token of a text; its passes written by hand.
///
///     tokens ─▶ embedding ─▶ [attention ─▶ feed-forward] × layers ─▶ norm ─▶ output ─▶ logits
package struct Transformer {
    private let embedding: Embedding
    private let layers: [(attention: Attention, feedForward: FeedForward)]
    private let norm: RMSNorm
    private let output: Linear
    private let precision: Precision

    /// A transformer with parameters that came from ``ModelShape/initialParameters(tokenCount:seed:)``.
    ///
    /// - Parameters:
    ///   - shape: How large it is.
    ///   - parameters: Its parameters.
    ///   - precision: What it keeps activations and rounds gradients to.
    package init(_ shape: ModelShape, _ parameters: TensorSet, _ precision: Precision) {
        embedding = Embedding(parameters, width: shape.width)
        layers = (0..<shape.layerCount).map { layer in
            (
                Attention("layers.\(layer).attention", headCount: shape.headCount, parameters),
                FeedForward("layers.\(layer).feedForward", parameters)
            )
        }
        norm = RMSNorm("norm", parameters)
        output = Linear("output", parameters)
        self.precision = precision
    }

    /// What a forward pass found, and what the backward pass needs of it.
    package struct Activations {
        fileprivate let batch: Batch
        fileprivate let layers: [(attention: Attention.Activations, feedForward: FeedForward.Activations)]
        fileprivate let last: StoredMatrix
        /// The loss.
        package let loss: CrossEntropy

        /// How many bytes are kept between the passes.
        package var byteCount: Int {
            layers.reduce(last.byteCount + loss.byteCount) { $0 + $1.attention.byteCount + $1.feedForward.byteCount }
        }
    }

    /// Runs a batch forward.
    package func forward(_ batch: Batch) -> Activations {
        var x = precision.rounding(embedding.forward(batch))
        var activations: [(Attention.Activations, FeedForward.Activations)] = []
        for layer in layers {
            let (attended, attention) = layer.attention.forward(x, passages: batch.passages, precision)
            let (result, feedForward) = layer.feedForward.forward(attended, precision)
            activations.append((attention, feedForward))
            x = result
        }
        return Activations(
            batch: batch, layers: activations, last: StoredMatrix(x, precision),
            loss: CrossEntropy(logits(x), batch.targets))
    }

    /// The logits of what follows the last of some tokens.
    package func logits(after tokens: [Int]) -> [Float] {
        var batch = Batch()
        batch.append(tokens + [0])
        var x = precision.rounding(embedding.forward(batch))
        for layer in layers {
            x = layer.attention.forward(x, passages: batch.passages, precision).0
            x = layer.feedForward.forward(x, precision).0
        }
        return logits(x[tokens.count - 1..<tokens.count, 0..<x.columnCount]).elements
    }

    /// Runs the loss of a forward pass backward.
    ///
    /// Every gradient is summed in float32 and rounded before it is passed on or stored.
    ///
    /// - Parameters:
    ///   - activations: The forward pass.
    ///   - lossScale: What the loss is multiplied by.
    ///   - gradients: Receives the gradients of all parameters.
    package func backward(_ activations: Activations, lossScale: Float, into gradients: inout TensorSet) {
        let last = activations.last.matrix
        let normalized = precision.rounding(norm.forward(last))
        let logitGradient = precision.rounding(activations.loss.gradient(scale: lossScale))
        let normalizedGradient = precision.rounding(
            output.backward(logitGradient, input: normalized, into: &gradients))
        var gradient = precision.rounding(norm.backward(normalizedGradient, input: last, into: &gradients))
        for (layer, kept) in zip(layers, activations.layers).reversed() {
            gradient = layer.feedForward.backward(gradient, kept.feedForward, precision, into: &gradients)
            gradient = layer.attention.backward(
                gradient, kept.attention, passages: activations.batch.passages, precision, into: &gradients)
        }
        embedding.backward(gradient, activations.batch, into: &gradients)
    }

    private func logits(_ x: Matrix) -> Matrix { output.forward(precision.rounding(norm.forward(x))) }
}
