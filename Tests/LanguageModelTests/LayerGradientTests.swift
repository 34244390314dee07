import Descent
import LanguageModel
import SeededNumbers
import Testing

/// The backward pass of each layer, held against finite differences of its forward pass.
@Suite struct LayerGradientTests {
    private let rowCount = 9
    private let width = 8

    /// A layer's function of its input and parameters: the sum of its outputs times random weights.
    ///
    /// - Parameters:
    ///   - parameters: What the layer has to learn.
    ///   - outputs: How many columns it gives.
    ///   - forward: Runs the layer.
    ///   - backward: Gives the gradient by the input, and writes those by the parameters.
    /// - Throws: `DescentError`, were two of the names the same.
    private func check(
        _ parameters: [(String, [Int])], outputs: Int, forward: @escaping (Matrix, TensorSet) -> Matrix,
        backward: (Matrix, Matrix, TensorSet, inout TensorSet) -> Matrix
    ) throws {
        let descriptions = try (parameters + [("x", [rowCount, width])]).map {
            try ParameterDescription($0.0, shape: $0.1)
        }
        let tensors = try TensorSet.random(descriptions, deviation: 0.5, seed: 3)
        let weights = Matrix.random(rowCount, outputs, seed: 5)
        func input(_ tensors: TensorSet) -> Matrix { Matrix(rowCount, width, tensors["x"]) }
        var gradient = TensorSet(zeros: tensors.layout)
        gradient["x"] = backward(weights, input(tensors), tensors, &gradient).elements
        HandmadeGradient(value: { forward(input($0), $0).dot(weights) }, gradient: gradient).check(at: tensors)
    }

    @Test func `a linear layer's gradient is that of finite differences`() throws {
        try check([("linear", [5, width])], outputs: 5) { x, tensors in
            Linear("linear", tensors).forward(x)
        } backward: { outputGradient, x, tensors, gradients in
            Linear("linear", tensors).backward(outputGradient, input: x, into: &gradients)
        }
    }

    @Test func `a norm's gradient is that of finite differences`() throws {
        try check([("norm", [width])], outputs: width) { x, tensors in
            RMSNorm("norm", tensors).forward(x)
        } backward: { outputGradient, x, tensors, gradients in
            RMSNorm("norm", tensors).backward(outputGradient, input: x, into: &gradients)
        }
    }

    @Test func `a feed-forward part's gradient is that of finite differences`() throws {
        try check(
            [("part.norm", [width]), ("part.input", [4 * width, width]), ("part.output", [width, 4 * width])],
            outputs: width
        ) { x, tensors in
            FeedForward("part", tensors).forward(x, .float32).0
        } backward: { outputGradient, x, tensors, gradients in
            let part = FeedForward("part", tensors)
            return part.backward(outputGradient, part.forward(x, .float32).1, .float32, into: &gradients)
        }
    }

    @Test func `attention's gradient is that of finite differences, over passages of several lengths`() throws {
        let passages = [0..<5, 5..<6, 6..<9]
        let weights = ["query", "key", "value", "output"].map { ("part.\($0)", [width, width]) }
        try check([("part.norm", [width])] + weights, outputs: width) { x, tensors in
            Attention("part", headCount: 2, tensors).forward(x, passages: passages, .float32).0
        } backward: { outputGradient, x, tensors, gradients in
            let part = Attention("part", headCount: 2, tensors)
            let kept = part.forward(x, passages: passages, .float32).1
            return part.backward(outputGradient, kept, passages: passages, .float32, into: &gradients)
        }
    }

    @Test func `attention does not see what comes later, nor other passages`() throws {
        let parameters = try ["norm", "query", "key", "value", "output"].map {
            try ParameterDescription("part.\($0)", shape: $0 == "norm" ? [width] : [width, width])
        }
        let part = Attention("part", headCount: 2, try TensorSet.random(parameters, seed: 3))
        let x = Matrix.random(rowCount, width, seed: 7)
        var changed = x
        for column in 0..<width { changed.elements[5 * width + column] += 1 }
        let passages = [0..<3, 3..<9]
        let before = part.forward(x, passages: passages, .float32).0
        let after = part.forward(changed, passages: passages, .float32).0
        #expect(before[0..<5, 0..<width] == after[0..<5, 0..<width])
        for row in 5..<9 { #expect(before[row..<row + 1, 0..<width] != after[row..<row + 1, 0..<width]) }
    }

    @Test func `the cross entropy's gradient is that of finite differences`() throws {
        let targets = [2, 0, 1, 4, 4, 3]
        let layout = [try ParameterDescription("logits", shape: [6, 5])]
        let logits = try TensorSet.random(layout, seed: 3)
        func loss(_ logits: TensorSet) -> CrossEntropy { CrossEntropy(Matrix(6, 5, logits["logits"]), targets) }
        var gradient = logits
        gradient["logits"] = loss(logits).gradient(scale: 8).elements
        HandmadeGradient(value: { loss($0).value * 8 }, gradient: gradient).check(at: logits)
    }
}
