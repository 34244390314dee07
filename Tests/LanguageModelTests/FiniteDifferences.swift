import Descent
import LanguageModel
import SeededNumbers
import Testing

/// A function of tensors whose gradient was worked out by hand: a weighted sum of what a layer gives, or a loss.
struct HandmadeGradient {
    /// The function's value at some tensors.
    let value: (TensorSet) -> Double
    /// The gradient there.
    let gradient: TensorSet

    /// Holds each tensor's gradient against differences of the function along some random directions.
    ///
    /// A central difference is off by h² times the third derivative, and by the rounding of float32 divided by h; with
    /// h = 0.01, both are far below the tolerance.
    func check(at tensors: TensorSet, tolerance: Double = 2e-3, _ location: SourceLocation = #_sourceLocation) {
        var generator = SeededGenerator(seed: 11)
        let step: Float = 0.01
        for parameter in tensors.layout {
            let gradient = gradient[parameter.name]
            for _ in 0..<3 {
                // Of length √count / 8: elements about 0.125, so that each of them matters.
                let direction = gradient.map { _ in generator.normal() * 0.125 }
                let expected = zip(gradient, direction).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
                var (ahead, behind) = (tensors, tensors)
                ahead[parameter.name] = zip(tensors[parameter.name], direction).map { $0 + step * $1 }
                behind[parameter.name] = zip(tensors[parameter.name], direction).map { $0 - step * $1 }
                let difference = (value(ahead) - value(behind)) / Double(2 * step)
                let scale = zip(gradient, direction).reduce(0.0) { sum, pair in
                    let product = Double(pair.0) * Double(pair.1)
                    return sum + product * product
                }.squareRoot()
                #expect(
                    abs(difference - expected) <= tolerance * max(scale, 1e-3),
                    "\(parameter.name): \(difference) by differences, \(expected) by hand", sourceLocation: location)
            }
        }
    }
}

extension Matrix {
    /// Normal numbers from a seed.
    static func random(_ rowCount: Int, _ columnCount: Int, seed: UInt64) -> Matrix {
        var generator = SeededGenerator(seed: seed)
        return Matrix(rowCount, columnCount, (0..<rowCount * columnCount).map { _ in generator.normal() })
    }

    /// The sum of the products of elements in the same places.
    func dot(_ other: Matrix) -> Double {
        zip(elements, other.elements).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
}

extension TensorSet {
    /// Tensors of normal numbers, from a seed.
    static func random(_ parameters: [ParameterDescription], deviation: Float = 1, seed: UInt64) throws -> TensorSet {
        var tensors = try TensorSet(parameters)
        var generator = SeededGenerator(seed: seed)
        for parameter in tensors.layout {
            tensors[parameter.name] = (0..<parameter.count).map { _ in generator.normal() * deviation }
        }
        return tensors
    }
}
