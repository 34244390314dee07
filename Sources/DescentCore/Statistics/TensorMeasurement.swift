/// A number that a stage measures of each tensor by itself: from blocks, its slots and, if it declares them, parameters.
///
/// ```swift
/// private static let product = TensorMeasurement("product with the momentum")
/// var requirements: [Requirement] { [.measured(Self.product)] }
/// func measure(_ measurement: TensorMeasurement, of block: inout some GradientBlock) -> Double { block.dotProduct(slot: 0) }
/// mutating func prepare(_ step: inout StepPreparation) { let product = step.incoming.value(Self.product, of: 0) }
/// ```
/// It is measured in the sweep that measures anyway. Blocks are combined in their order, so that the bits are the same
/// whatever the number of threads.
public struct TensorMeasurement: Sendable, Hashable, CustomStringConvertible {
    /// How the numbers of blocks become that of a tensor, and those of tensors that of all.
    public enum Combination: Sendable, Hashable {
        /// They are added.
        case sum
        /// The largest of them, of numbers that are at least 0.
        case largest
        /// As norms: the root of the sum of squares.
        case norm
    }

    /// What it is called in explanations and errors; unique within the stage.
    public let name: String
    /// How the numbers of blocks are combined.
    public let combination: Combination
    /// With which power of a factor it grows that the gradient is multiplied by; nil where there is none.
    ///
    /// It is 1 for a norm or a product of gradient and slot, 2 for a sum of squares, 0 for a count.
    /// Where it is known, factors of scaling stages are multiplied in afterwards. Where it is nil they are applied before,
    /// which may take an earlier sweep.
    public let degree: Int?

    /// Describes a measurement.
    ///
    /// - Parameters:
    ///   - name: What it is called.
    ///   - combination: How the numbers of blocks are combined.
    ///   - degree: With which power of a factor it grows, at least 0; nil if with none.
    public init(_ name: String, _ combination: Combination = .sum, degree: Int? = 1) {
        self.name = name
        self.combination = combination
        self.degree = degree
    }

    /// The name.
    public var description: String { name }

    /// How blocks are put together to parameters.
    var combiner: Norm.Combiner {
        switch combination {
        case .sum: Norm.Combiner(.l1)
        case .largest: Norm.Combiner(.lInfinity)
        case .norm: Norm.Combiner(.l2)
        }
    }

    /// What a measured number is once the gradient has been multiplied by a factor.
    func scaled(_ value: Double, by factor: Double) -> Double {
        guard let degree, factor != 1 else { return value }
        // The largest of numbers, and norms, know no sign.
        let factor = combination == .sum ? factor : factor.magnitude
        return (0..<max(0, degree)).reduce(value) { product, _ in product * factor }
    }
}
