import Descent
import Foundation
import LanguageModel
import SeededNumbers
import Testing

/// The whole model: its gradient, and what half precision changes of it.
@Suite struct TransformerTests {
    private let shape = ModelShape.tiny
    private let tokenCount = 7
    private let parameters: TensorSet
    private let batch: Batch

    init() throws {
        parameters = try TensorSet.random(shape.parameters(tokenCount: tokenCount), deviation: 0.4, seed: 3)
        var batch = Batch()
        batch.append([1, 5, 2, 2, 0, 6])
        batch.append([3, 4])
        batch.append([6, 5, 4, 3, 2, 1, 0, 1, 2])
        self.batch = batch
    }

    private func gradients(_ precision: Precision, lossScale: Float) -> TensorSet {
        let model = Transformer(shape, parameters, precision)
        var gradients = TensorSet(zeros: parameters.layout, precision.elementType)
        model.backward(model.forward(batch), lossScale: lossScale, into: &gradients)
        return gradients
    }

    @Test func `a batch's tokens are those of its passages, each with the next`() {
        #expect(batch.tokens == [1, 5, 2, 2, 0, 3, 6, 5, 4, 3, 2, 1, 0, 1])
        #expect(batch.targets == [5, 2, 2, 0, 6, 4, 5, 4, 3, 2, 1, 0, 1, 2])
        #expect(batch.passages == [0..<5, 5..<6, 6..<14])
    }

    @Test func `a model begins with positions as waves, and layers that pass on what they are given`() throws {
        let parameters = try shape.initialParameters(tokenCount: tokenCount, seed: 1)
        let positions = parameters["embedding.position"]
        for position in 0..<shape.context {
            for column in 0..<shape.width {
                let angle = Double(position) / pow(10_000, Double(column / 2 * 2) / Double(shape.width))
                let wave = 0.1 * 2.0.squareRoot() * (column.isMultiple(of: 2) ? sin(angle) : cos(angle))
                #expect(abs(Double(positions[position * shape.width + column]) - wave) < 1e-7)
            }
        }
        let x = Matrix.random(4, shape.width, seed: 2)
        let attention = Attention("layers.1.attention", headCount: shape.headCount, parameters)
        #expect(attention.forward(x, passages: [0..<4], .float32).0 == x)
        #expect(FeedForward("layers.1.feedForward", parameters).forward(x, .float32).0 == x)
    }

    @Test func `the gradient of all parameters is that of finite differences`() {
        HandmadeGradient(
            value: { Transformer(shape, $0, .float32).forward(batch).loss.value * 16 },
            gradient: gradients(.float32, lossScale: 16)
        ).check(at: parameters, tolerance: 5e-3)
    }

    @Test func `gradients in Float16 are near those in float32, and take half the memory`() {
        let (exact, half) = (gradients(.float32, lossScale: 64), gradients(.float16, lossScale: 64))
        for parameter in exact.layout {
            let (exact, half) = (exact[parameter.name], half[parameter.name])
            let largest = exact.map(\.magnitude).max() ?? 0
            let difference = zip(exact, half).map { ($0 - $1).magnitude }.max() ?? 0
            #expect(difference > 0, "\(parameter.name) is not rounded")
            #expect(difference <= 0.02 * largest, "\(parameter.name): \(difference) of \(largest)")
        }
        let bytes = [Precision.float32, .float16].map { Transformer(shape, parameters, $0).forward(batch).byteCount }
        let probabilities = batch.tokens.count * tokenCount * 4
        #expect(bytes[0] - probabilities == 2 * (bytes[1] - probabilities))
    }

    @Test func `the logits after some tokens are those that the loss is made of`() {
        let model = Transformer(shape, parameters, .float16)
        var batch = Batch()
        batch.append([1, 5, 2, 6])
        let losses = (1...3).map { length in
            let logits = model.logits(after: Array([1, 5, 2].prefix(length)))
            return CrossEntropy(Matrix(1, logits.count, logits), [[5, 2, 6][length - 1]]).value
        }
        #expect(abs(losses.reduce(0, +) / 3 - model.forward(batch).loss.value) < 1e-6)
    }
}

extension ModelShape {
    /// A size for tests.
    static var tiny: ModelShape {
        var shape = ModelShape()
        (shape.context, shape.width, shape.headCount, shape.layerCount) = (8, 8, 2, 2)
        return shape
    }
}
