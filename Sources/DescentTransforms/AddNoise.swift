public import DescentCore

/// Adds Gaussian noise whose variance falls with the number of applied steps t: g + N(0, eta / (1 + t)^gamma).
///
/// Random numbers are made from the seed, the step, the parameter and the element's place in it, counted row by row, so
/// that they do not depend on threads, blocks, sweeps or processors: see `NormalNoise`. Neelakantan et al., "Adding
/// gradient noise improves learning for very deep networks" (2015).
public struct AddNoise: GradientTransform {
    /// The variance of the first step's noise.
    public var eta: Schedule
    /// How fast the variance falls.
    public var gamma: Float
    /// What makes the noise this noise and no other.
    public var seed: UInt64
    private var deviation: Float = 0
    private var step = 0

    /// Adds noise.
    ///
    /// - Parameters:
    ///   - eta: The variance of the first step's noise, finite and above 0, or a schedule of such, which is also divided
    ///     by (1 + t)^gamma. One that leaves this range skips the step.
    ///   - gamma: How fast it falls, finite and at least 0; 0 keeps it.
    ///   - seed: What the noise is made from.
    public init(eta: Schedule = 0.01, gamma: Float = 0.55, seed: UInt64) {
        self.eta = eta
        self.gamma = gamma
        self.seed = seed
    }

    /// Adds noise, with a variance of any number type.
    @_disfavoredOverload public init(eta: some ScheduleConvertible, gamma: Float = 0.55, seed: UInt64) {
        self.init(eta: eta.schedule, gamma: gamma, seed: seed)
    }

    public var name: String { "AddNoise(eta: \(eta), gamma: \(gamma))" }
    public var order: StageOrder { StageOrder(expects: [.unscaled, .window, .reduced]) }

    public var canFail: Bool { false }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try eta.validate("eta", of: name, in: .positive)
        try DescentError.require(
            gamma.isFinite && gamma >= 0, name, "gamma is \(gamma); it has to be a finite number of at least 0.")
    }

    public mutating func prepare(_ step: inout StepPreparation) {
        self.step = step.appliedSteps
        guard let eta = step.value(of: eta, "eta", in: .positive) else { return }
        let variance = Double(eta) / ReproducibleMath.power(1 + Double(step.appliedSteps), Double(gamma))
        deviation = Float(variance.squareRoot())
    }

    public func transform(_ block: inout some GradientBlock) {
        block.addNormalNoise(
            NormalNoise(deviation: deviation, seed: seed, parameter: block.parameterIndex, step: step))
    }
}

extension AddNoise: DescribedStage {
    private enum CodingKeys: CodingKey { case eta, gamma, seed }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self(seed: 0))
        try self.init(
            eta: settings.value(.eta, or: usual.eta), gamma: settings.value(.gamma, or: usual.gamma),
            seed: settings.value(.seed))
    }
}
