public import DescentCore

/// Momentum of gradients as long as their tensor's parameters say, for large batches, as Optax defines it.
///
///     g = g + weightDecay * p
///     g = g * trustCoefficient * norm(p) / norm(g)           (g as it is where one of the norms is 0)
///     v = momentum * v + learningRate * g
///     p = p - (nesterov ? learningRate * g + momentum * v : v)
///
/// Norms are those of each tensor by itself. Because the learning rate comes before momentum, p is not moved along a direction,
/// and nothing can stand behind this optimizer. State: 4 bytes an element. You, Gitman and Ginsburg, "Large batch training
/// of convolutional networks" (2017).
public struct LARS: Optimizer {
    private static let decayedNorm = TensorMeasurement("norm of gradient and decay", .norm, degree: nil)

    public var learningRate: Schedule
    /// How long the step of a tensor is, relative to the tensor.
    public var trustCoefficient: Double
    /// The share of the velocity that remains after a step.
    public var momentum: Double
    /// Whether the update looks ahead along the velocity.
    public var nesterov: Bool
    public var weightDecay: Schedule
    /// Whether parameters climb along the gradient instead of descending.
    public var maximize: Bool
    public var groups: [ParameterGroup]
    private var rules: GroupedRules<Rule>
    private var trustRatios: [Double] = []

    /// Makes an optimizer.
    ///
    /// - Parameters:
    ///   - learningRate: The factor of a step, finite and at least 0, or a schedule of such.
    ///   - trustCoefficient: How long the step of a tensor is, relative to the tensor, finite and above 0.
    ///   - momentum: The share of the velocity that remains, finite and at least 0.
    ///   - nesterov: Whether to look ahead.
    ///   - weightDecay: What the parameter adds to its gradient, finite and at least 0.
    ///   - maximize: Whether to climb: g = -g first.
    ///   - groups: Settings for some of the parameters.
    public init(
        learningRate: some ScheduleConvertible, trustCoefficient: Double = 0.001, momentum: Double = 0.9,
        nesterov: Bool = false, weightDecay: some ScheduleConvertible = 0.0, maximize: Bool = false,
        groups: [ParameterGroup] = []
    ) {
        self.learningRate = learningRate.schedule
        self.trustCoefficient = trustCoefficient
        self.momentum = momentum
        self.nesterov = nesterov
        self.weightDecay = weightDecay.schedule
        self.maximize = maximize
        self.groups = groups
        rules = GroupedRules(Rule(momentum: Float(momentum), nesterov: nesterov, maximize: maximize))
    }

    public var groupSettings: [GroupSettings.Name] { [.momentum, .nesterov, .maximize] }
    public var slots: [Slot] { ["velocity"] }
    public var requirements: [Requirement] { [.measured(Self.decayedNorm), .parameterNorm(.l2)] }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try DescentError.requirePositive(trustCoefficient, "trustCoefficient", of: name)
        let usual = self
        rules = try GroupedRules(groups, of: name, in: layout) { settings, owner throws(DescentError) in
            let momentum = settings.momentum ?? usual.momentum
            try requireNotNegative(momentum, "momentum", of: owner)
            return Rule(
                momentum: Float(momentum), nesterov: settings.nesterov ?? usual.nesterov,
                maximize: settings.maximize ?? usual.maximize)
        }
        trustRatios = [Double](repeating: 1, count: layout.count)
    }

    public func measure(_ measurement: TensorMeasurement, of block: inout some UpdateBlock) -> Double {
        // That of -g + decay * p is that of g - decay * p.
        let decay = block.rates.weightDecay
        return block.decayedNorm(rules[block.parameterIndex].maximize ? -decay : decay)
    }

    public mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {
        for index in trustRatios.indices {
            let gradientNorm = step.incoming.value(Self.decayedNorm, of: index)
            let parameterNorm = step.incoming.parameterNorm(.l2, of: index)
            let isDefined = gradientNorm > 0 && parameterNorm > 0
            trustRatios[index] = isDefined ? trustCoefficient * parameterNorm / gradientNorm : 1
        }
    }

    public func elementwiseRule(for parameterIndex: Int, _ rates: UpdateRates) -> ElementwiseRule? {
        let (rule, decay) = (rules[parameterIndex], rates.weightDecay)
        let (sign, ratio) = (rule.maximize.gradientSign, Double(rates.learningRate) * trustRatios[parameterIndex])
        // Behind a decay the ratio is a factor of its own: in two steps, as of a block, beyond the normal numbers.
        let isBeyond = ratio != 0 && ratio.isFinite && !Float(ratio).isNormal
        let power = !isBeyond ? 1 : ratio.magnitude < 1 ? 0x1p100 : 0x1p-100
        return ElementwiseRule(
            .lars, gradientFactor: decay == 0 ? sign * ratio : sign, decay, decay == 0 ? 1 : Float(ratio * power),
            decay == 0 ? 1 : Float(1 / power), rule.momentum, rule.nesterov ? 1 : 0)
    }

    public func update(_ block: inout some UpdateBlock) {
        let (rule, decay) = (rules[block.parameterIndex], block.rates.weightDecay)
        if rule.maximize { block.scale(by: -1) }
        if decay != 0 { block.directEach { gradient, parameter in gradient += decay * parameter } }
        block.scale(by: Double(block.rates.learningRate) * trustRatios[block.parameterIndex])
        block.updateEach { gradient, parameter, velocity in
            velocity = (rule.momentum * velocity + gradient).flushed
            parameter -= rule.nesterov ? gradient + rule.momentum * velocity : velocity
        }
    }

    /// The settings of one group of parameters.
    private struct Rule {
        let momentum: Float
        let nesterov: Bool
        let maximize: Bool
    }
}

extension LARS: DescribedOptimizer {
    private enum CodingKeys: CodingKey {
        case learningRate, trustCoefficient, momentum, nesterov, weightDecay, maximize, groups
    }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self(learningRate: 0))
        let learningRate: Schedule = try settings.value(.learningRate)
        try self.init(
            learningRate: learningRate,
            trustCoefficient: settings.value(.trustCoefficient, or: usual.trustCoefficient),
            momentum: settings.value(.momentum, or: usual.momentum),
            nesterov: settings.value(.nesterov, or: usual.nesterov),
            weightDecay: settings.value(.weightDecay, or: usual.weightDecay),
            maximize: settings.value(.maximize, or: usual.maximize), groups: settings.value(.groups, or: usual.groups))
    }
}
