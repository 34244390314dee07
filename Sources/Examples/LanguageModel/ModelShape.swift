package import Descent
import SeededNumbers

/// How large a transformer is, apart from how many tokens it tells apart.
package struct ModelShape: Sendable {
    /// How many tokens a passage has at most.
    package var context = 128
    /// How many numbers stand for a token.
    package var width = 128
    /// How many heads a layer has; they share the width.
    package var headCount = 4
    /// How many layers there are.
    package var layerCount = 2

    /// The usual size.
    package init() {}

    /// The names and shapes of the parameters, for a number of tokens.
    ///
    /// - Throws: `DescentError`, were a shape too large.
    package func parameters(tokenCount: Int) throws -> [ParameterDescription] {
        var shapes = [("embedding.token", [tokenCount, width]), ("embedding.position", [context, width])]
        for layer in 0..<layerCount {
            let (attention, feedForward) = ("layers.\(layer).attention.", "layers.\(layer).feedForward.")
            shapes.append((attention + "norm", [width]))
            for name in ["query", "key", "value", "output"] { shapes.append((attention + name, [width, width])) }
            shapes.append((feedForward + "norm", [width]))
            shapes.append((feedForward + "input", [4 * width, width]))
            shapes.append((feedForward + "output", [width, 4 * width]))
        }
        shapes += [("norm", [width]), ("output", [tokenCount, width])]
        return try shapes.map { try ParameterDescription($0.0, shape: $0.1) }
    }

    /// Parameters to start from: gains of 1, normal weights, and positions as waves.
    ///
    /// Embeddings have deviation 0.1, weights 1 / √inputs; those that end a layer's parts begin at 0, so that at first a
    /// layer passes on what it is given.
    ///
    /// - Throws: `DescentError`, were a shape too large.
    package func initialParameters(tokenCount: Int, seed: UInt64) throws -> TensorSet {
        var parameters = try TensorSet(parameters(tokenCount: tokenCount))
        var generator = SeededGenerator(seed: seed)
        for parameter in parameters.layout {
            let name = parameter.name
            if name == "embedding.position" {
                parameters[name] = waves
            } else if parameter.shape.count == 1 {
                parameters[name] = [Float](repeating: 1, count: parameter.count)
            } else if !(name.hasPrefix("layers.") && name.hasSuffix(".output")) {
                let deviation = name == "embedding.token" ? 0.1 : 1 / Float(width).squareRoot()
                parameters[name] = (0..<parameter.count).map { _ in generator.normal() * deviation }
            }
        }
        return parameters
    }

    /// For each position, sines and cosines of wavelengths from 2π to 20,000π positions, of deviation 0.1.
    ///
    /// So positions that are equally far apart differ by the same rotation, and heads soon learn to look a few tokens back.
    /// Vaswani et al., "Attention is all you need" (2017).
    private var waves: [Float] {
        (0..<context).flatMap { position in
            (0..<width).map { column in
                let frequency = ReproducibleMath.power(10_000, -Double(column / 2 * 2) / Double(width))
                let halfTurns = Double(position) * frequency / .pi - (column.isMultiple(of: 2) ? 0.5 : 0)
                let rest = halfTurns.magnitude.truncatingRemainder(dividingBy: 2)
                return Float(0.1 * 2.0.squareRoot() * ReproducibleMath.cosine(halfTurns: rest > 1 ? 2 - rest : rest))
            }
        }
    }
}
