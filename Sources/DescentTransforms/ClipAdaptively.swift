public import DescentCore

/// Clips each unit's gradient by the size of the unit itself.
///
///     limit = factor * max(norm of the parameter's row, epsilon)
///     g = norm of g's row < limit ? g : g * limit / max(norm of g's row, 1e-6)
///
/// A unit is a row; a tensor whose rows hold one element each is a vector, and one unit. That is what Optax's
/// `adaptive_grad_clip` does at ranks 0, 1, 2, 4 and 5, with output units last as there, or first. At rank 3 a unit is one
/// output channel of a convolution, as in timm; Optax takes the tensor for an attention projection [in, heads, size] with
/// heads * size units, for which it can be handed over as [in, heads * size]. Ranks above 5, which Optax refuses, are
/// clipped row by row. Brock, De, Smith and Simonyan, "High-performance
/// large-scale image recognition without normalization" (2021).
public struct ClipAdaptively: GradientTransform {
    /// The largest ratio of a gradient's norm to its parameter's.
    public var factor: Schedule
    /// The smallest norm that a parameter is taken to have.
    public var epsilon: Float
    /// Which parameters are left alone; nil for none.
    public var exclusion: ParameterSelection?
    private var excluded: [Bool] = []
    private var vectors: [Int] = []
    private var isVector: [Bool] = []
    /// What the factor is in this step.
    private var presentFactor: Float = 1
    /// What each vector is multiplied by in this step.
    private var vectorFactors: [Float] = []

    private static let smallestNorm: Float = 1e-6
    /// Of vectors alone, so that other parameters are not read for it.
    private static let sizeOfVectors = TensorMeasurement("norm of each vector of parameters", .norm, degree: 0)

    /// Clips units.
    ///
    /// - Parameters:
    ///   - factor: The largest ratio of a gradient's norm to its parameter's, finite and above 0, or a schedule of
    ///     such. One that leaves this range skips the step.
    ///   - epsilon: The smallest norm that a parameter is taken to have, finite and above 0.
    ///   - isExcluded: Which parameters are left alone; the paper leaves out the last linear layer.
    public init(
        factor: Schedule = 0.01, epsilon: Float = 1e-3,
        excluding isExcluded: (@Sendable (ParameterDescription) -> Bool)? = nil
    ) {
        self.init(factor: factor, epsilon: epsilon, excluding: isExcluded.map { .satisfying($0) })
    }

    /// Clips units, but for some parameters.
    public init(factor: Schedule = 0.01, epsilon: Float = 1e-3, excluding exclusion: ParameterSelection?) {
        self.factor = factor
        self.epsilon = epsilon
        self.exclusion = exclusion
    }

    /// Clips units, with a factor of any number type.
    @_disfavoredOverload public init(
        factor: some ScheduleConvertible, epsilon: Float = 1e-3, excluding exclusion: ParameterSelection? = nil
    ) {
        self.init(factor: factor.schedule, epsilon: epsilon, excluding: exclusion)
    }

    public var name: String { "ClipAdaptively(factor: \(factor))" }
    public var order: StageOrder { .trueGradients }
    public var requirements: [Requirement] {
        vectors.isEmpty ? [.parameters] : [.parameters, .norm(.l2), .measured(Self.sizeOfVectors)]
    }

    public var canFail: Bool { false }

    public func dependsOnRows(of parameter: ParameterDescription) -> Bool {
        parameter.columnCount > 1 && exclusion?.contains(parameter) != true
    }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try factor.validate("factor", of: name, in: .positive)
        try DescentError.requirePositive(epsilon, "epsilon", of: name)
        excluded = layout.map { exclusion?.contains($0) ?? false }
        // A name that matches nothing is a slip; a condition may hold for none, such as one on ranks.
        if let exclusion, exclusion.isByNames { try exclusion.requireMatch(in: layout, of: name) }
        // A tensor with a single row is that row, whichever way it is looked at; so is a single row of one that is spread
        // over processes.
        isVector = layout.map { $0.rank <= 1 || $0.columnCount == 1 }
        vectors = layout.indices.filter { isVector[$0] && !excluded[$0] }
        vectorFactors = layout.map { _ in 1 }
    }

    public func measure(_ measurement: TensorMeasurement, of block: inout some GradientBlock) -> Double {
        isVector[block.parameterIndex] && !excluded[block.parameterIndex] ? block.parameterNorm(.l2) : 0
    }

    public mutating func prepare(_ step: inout StepPreparation) {
        guard let factor = step.value(of: factor, "factor", in: .positive) else { return }
        presentFactor = factor
        for parameter in vectors {
            let norm = step.incoming.norm(.l2, of: parameter)
            let limit = Double(factor) * max(step.incoming.value(Self.sizeOfVectors, of: parameter), Double(epsilon))
            vectorFactors[parameter] = norm < limit ? 1 : Float(limit / max(norm, Double(Self.smallestNorm)))
        }
    }

    public func transform(_ block: inout some GradientBlock) {
        if excluded[block.parameterIndex] { return }
        if isVector[block.parameterIndex] {
            block.scale(by: vectorFactors[block.parameterIndex])
        } else {
            block.clipRows(factor: presentFactor, minimumNorm: epsilon, epsilon: Self.smallestNorm)
        }
    }
}

extension ClipAdaptively: DescribedStage {
    private enum CodingKeys: String, CodingKey {
        case factor, epsilon
        case exclusion = "excluding"
    }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self())
        try self.init(
            factor: settings.value(.factor, or: usual.factor), epsilon: settings.value(.epsilon, or: usual.epsilon),
            excluding: settings.decodeIfPresent(ParameterSelection.self, forKey: .exclusion))
    }
}
