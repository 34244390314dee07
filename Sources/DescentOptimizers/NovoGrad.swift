public import DescentCore

/// Momentum of gradients that are divided by a moving norm of their tensor, as Optax defines it.
///
///     v = beta2 * v + (1 - beta2) * norm(g)^2           (v = norm(g)^2 in the first step)
///     m = beta1 * m + g / (sqrt(v) + epsilon) + weightDecay * p
///     p = p - learningRate * m
///
/// The second moment v is one number a tensor. The gradient of a tensor that never had any but 0 counts as 0, whatever
/// epsilon is. State: 4 bytes an element, 8 a tensor. Ginsburg et al., "Stochastic gradient methods with layer-wise adaptive
/// moments for training of deep networks" (2019).
public struct NovoGrad: DirectionalOptimizer {
    /// The second moments.
    public struct State: Codable, Sendable {
        /// The moving mean of each tensor's squared norm.
        var squares: [Double] = []
        /// Whether no step has been applied yet.
        var isFresh = true
    }

    public var learningRate: Schedule
    /// What the moment keeps of itself in a step.
    public var beta1: Double
    /// The decay of the squared norm.
    public var beta2: Double
    /// What keeps the denominator from 0.
    public var epsilon: Float
    public var weightDecay: Schedule
    /// Whether parameters climb along the gradient instead of descending.
    public var maximize: Bool
    public var groups: [ParameterGroup]
    public var state = State()
    private var rules: GroupedRules<MomentRule>
    /// The second moments after this step, and what each gradient is multiplied by in it.
    private var (squares, factors): ([Double], [Double]) = ([], [])

    /// Makes an optimizer.
    ///
    /// - Parameters:
    ///   - learningRate: The step size, finite and at least 0, or a schedule of such.
    ///   - beta1: What the moment keeps of itself in a step, in 0..<1.
    ///   - beta2: The decay of the squared norm, in 0..<1.
    ///   - epsilon: What keeps the denominator from 0, finite and at least 0.
    ///   - weightDecay: What the parameter adds to the moment, finite and at least 0.
    ///   - maximize: Whether to climb: g = -g first.
    ///   - groups: Settings for some of the parameters.
    public init(
        learningRate: some ScheduleConvertible = 0.01, beta1: Double = 0.9, beta2: Double = 0.25,
        epsilon: Float = 1e-6, weightDecay: some ScheduleConvertible = 0.0, maximize: Bool = false,
        groups: [ParameterGroup] = []
    ) {
        self.learningRate = learningRate.schedule
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.weightDecay = weightDecay.schedule
        self.maximize = maximize
        self.groups = groups
        rules = GroupedRules(MomentRule(beta1: beta1, beta2: beta2, epsilon: epsilon, maximize: maximize))
    }

    public var groupSettings: [GroupSettings.Name] { [.beta1, .beta2, .epsilon, .maximize] }
    public var slots: [Slot] { ["moment"] }
    public var requirements: [Requirement] { [.norm(.l2)] }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        rules = try rules(in: layout) { $0 }
        squares = [Double](repeating: 0, count: layout.count)
        factors = squares
        if state.isFresh { state.squares = squares }
        try DescentError.requireState(
            state.squares.count == layout.count, name,
            "there are \(state.squares.count) norms of \(layout.count) tensors")
        try DescentError.requireState(
            state.squares.allSatisfy { $0.isFinite && $0 >= 0 }, name, "norms are negative or not finite")
    }

    public mutating func relayout(from former: ParameterLayout, to layout: ParameterLayout) {
        guard !state.isFresh else { return }
        let squares = state.squares
        state.squares = layout.positions(in: former).map { $0.map { squares[$0] } ?? 0 }
    }

    public mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {
        for index in squares.indices {
            guard step.concerns(index) else {
                squares[index] = state.squares[index]
                continue
            }
            let rule = rules[index]
            let norm = step.incoming.norm(.l2, of: index)
            squares[index] = norm * norm
            if !state.isFresh, step.updates(of: index) > 0 {
                let (kept, taken) = (rule.decays.second, 1 - rule.decays.second)
                squares[index] = kept * state.squares[index] + taken * squares[index]
            }
            let denominator = squares[index].squareRoot() + Double(rule.givenEpsilon)
            factors[index] = denominator == 0 ? 0 : (rule.maximize ? -1 : 1) / denominator
        }
    }

    public func elementwiseRule(for parameterIndex: Int, _ rates: UpdateRates) -> ElementwiseRule? {
        ElementwiseRule(
            .novograd, gradientFactor: factors[parameterIndex], rates.weightDecay, rules[parameterIndex].beta1)
    }

    public func makeDirection(_ block: inout some UpdateBlock) {
        let (rule, decay) = (rules[block.parameterIndex], block.rates.weightDecay)
        block.scale(by: factors[block.parameterIndex])
        block.directEach { gradient, parameter, moment in
            moment = (rule.beta1 * moment + (gradient + decay * parameter)).flushed
            gradient = moment
        }
    }

    public mutating func finish(_ result: StepResult) throws(DescentError) {
        guard result.isApplied else { return }
        state.isFresh = false
        // A pipeline may let gradients pass that are not finite; their norms say nothing about later ones.
        for index in squares.indices where squares[index].isFinite { state.squares[index] = squares[index] }
    }
}

extension NovoGrad: MomentOptimizer {}

extension NovoGrad: DescribedOptimizer {
    private enum CodingKeys: CodingKey { case learningRate, beta1, beta2, epsilon, weightDecay, maximize, groups }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self())
        try self.init(
            learningRate: settings.value(.learningRate, or: usual.learningRate),
            beta1: settings.value(.beta1, or: usual.beta1), beta2: settings.value(.beta2, or: usual.beta2),
            epsilon: settings.value(.epsilon, or: usual.epsilon),
            weightDecay: settings.value(.weightDecay, or: usual.weightDecay),
            maximize: settings.value(.maximize, or: usual.maximize), groups: settings.value(.groups, or: usual.groups))
    }
}
