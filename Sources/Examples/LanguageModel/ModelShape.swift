package import Descent
import SeededNumbers

/// How large a transformer is.
package struct ModelShape: Sendable {
    /// How many tokens there are to tell apart.
    package let tokenCount: Int
    /// How many tokens a passage has at most.
    package var context = 128
    /// How many numbers stand for a token.
    package var width = 128
    /// How many heads a layer has; they share the width.
    package var headCount = 4
    /// How many layers there are.
    package var layerCount = 2

    /// The usual size, for a number of tokens.
    package init(tokenCount: Int) { self.tokenCount = tokenCount }

    /// The names and shapes of the parameters.
    package var parameters: [ParameterDescription] {
        get throws(DescentError) {
            var parameters = [
                try ParameterDescription("embedding.token", shape: [tokenCount, width]),
                try ParameterDescription("embedding.position", shape: [context, width]),
            ]
            for layer in 0..<layerCount {
                let (attention, feedForward) = ("layers.\(layer).attention.", "layers.\(layer).feedForward.")
                parameters.append(try ParameterDescription(attention + "norm", shape: [width]))
                for name in ["query", "key", "value", "output"] {
                    parameters.append(try ParameterDescription(attention + name, shape: [width, width]))
                }
                parameters.append(try ParameterDescription(feedForward + "norm", shape: [width]))
                parameters.append(try ParameterDescription(feedForward + "input", shape: [4 * width, width]))
                parameters.append(try ParameterDescription(feedForward + "output", shape: [width, 4 * width]))
            }
            parameters.append(try ParameterDescription("norm", shape: [width]))
            parameters.append(try ParameterDescription("output", shape: [tokenCount, width]))
            return parameters
        }
    }

    /// Parameters to start from: gains of 1, and normal weights.
    ///
    /// Embeddings have deviation 0.1, weights 1 / √inputs; those that end a layer's parts begin at 0, so that at first a
    /// layer passes on what it is given.
    ///
    /// - Throws: `DescentError`, were two of the names the same.
    package func initialParameters(seed: UInt64) throws -> TensorSet {
        var parameters = try TensorSet(parameters)
        var generator = SeededGenerator(seed: seed)
        for parameter in parameters.layout {
            let name = parameter.name
            let isEnd = name.hasPrefix("layers.") && name.hasSuffix(".output")
            let deviation = name.hasPrefix("embedding.") ? 0.1 : isEnd ? 0 : 1 / Float(width).squareRoot()
            parameters[name] =
                parameter.shape.count == 1
                ? [Float](repeating: 1, count: parameter.count)
                : (0..<parameter.count).map { _ in generator.normal() * deviation }
        }
        return parameters
    }
}
