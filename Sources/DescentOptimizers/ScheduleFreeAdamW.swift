public import DescentCore

/// AdamW that needs no schedule to end well: it takes gradients between where steps lead and their average.
///
///     r = learningRate * sqrt(1 - beta2^t)
///     c = w / (the sum of w in all steps so far), w being the square of the largest r so far
///     v = beta2 * v + (1 - beta2) * g * g
///     z = z - r * (g / (sqrt(v) + epsilon) + weightDecay * p)              (z = x = p at first)
///     x = (1 - c) * x + c * z
///     p = (1 - beta1) * z + beta1 * x
///
/// The parameters p are where gradients are taken. Those to evaluate and to keep are x: `pipeline.averagedParameters`.
/// A learning rate that rises at first, such as one with a warm-up, gives early steps less weight in x; it need not fall
/// again. Because p is not moved along a direction, nothing can stand behind this optimizer.
///
/// t counts applied steps from 1. State: 12 bytes an element, 16 a tensor. Defazio et al., "The road less scheduled" (2024).
///
/// Moments below 1.2e-38 are flushed to 0, and an epsilon below 2^-63 / sqrt(1 - beta2), 3.4e-18 by default, counts as
/// that much: a gradient of 0 makes no step.
public struct ScheduleFreeAdamW: Optimizer {
    /// What steps have weighed so far.
    public struct State: Codable, Sendable {
        /// The largest rate of each parameter.
        var largestRates: [Double] = []
        /// The sum of each parameter's weights.
        var weights: [Double] = []
        /// Whether no step has been applied yet.
        var isFresh = true
    }

    public var learningRate: Schedule
    /// How far gradients are taken along the way from z to x.
    public var beta1: Double
    /// The decay of the second moment.
    public var beta2: Double
    /// What keeps the denominator from 0.
    public var epsilon: Float
    public var weightDecay: Schedule
    /// Whether parameters climb along the gradient instead of descending.
    public var maximize: Bool
    public var groups: [ParameterGroup]
    public var state = State()
    private var rules: GroupedRules<MomentRule>
    /// The learning rates of the optimizer and of groups, what they are in this step, and for each parameter which is its own.
    private var schedules: [Schedule] = []
    private var rates: [Double] = []
    private var rateIndices: [Int] = []
    /// The state after this step, and how far x follows z in it.
    private var (next, shares): (State, [Float]) = (State(), [])

    /// Makes an optimizer.
    ///
    /// - Parameters:
    ///   - learningRate: The step size, finite and at least 0, or a schedule of such, which need not fall and cannot follow a
    ///     metric.
    ///   - beta1: How far gradients are taken along the way from z to x, in 0..<1.
    ///   - beta2: The decay of the second moment, in 0..<1.
    ///   - epsilon: What keeps the denominator from 0, finite and at least 0.
    ///   - weightDecay: What the parameter adds to the direction of z, finite and at least 0.
    ///   - maximize: Whether to climb: g = -g first.
    ///   - groups: Settings for some of the parameters.
    public init(
        learningRate: some ScheduleConvertible = 0.0025, beta1: Double = 0.9, beta2: Double = 0.999,
        epsilon: Float = 1e-8, weightDecay: some ScheduleConvertible = 0.0, maximize: Bool = false,
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
    public var slots: [Slot] { ["second moment", "z", Slot("x", role: .parameterAverage)] }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        rules = try rules(in: layout) { $0 }
        let groups = groups.filter { $0.learningRate != nil }
        schedules = [learningRate] + groups.compactMap(\.learningRate)
        for schedule in schedules { try schedule.validate("learningRate", of: name, in: .notNegative) }
        rates = schedules.map { _ in 0 }
        rateIndices = layout.map { parameter in (groups.lastIndex { $0.selection.contains(parameter) } ?? -1) + 1 }
        shares = [Float](repeating: 0, count: layout.count)
        if state.isFresh {
            let zeros = [Double](repeating: 0, count: layout.count)
            (state.largestRates, state.weights) = (zeros, zeros)
        }
        try DescentError.requireState(
            state.largestRates.count == layout.count && state.weights.count == layout.count, name,
            "there are \(state.weights.count) weights of \(layout.count) tensors")
        try DescentError.requireState(
            (state.largestRates + state.weights).allSatisfy { $0.isFinite && $0 >= 0 }, name,
            "weights are negative or not finite")
        next = state
    }

    public mutating func relayout(from former: ParameterLayout, to layout: ParameterLayout) {
        guard !state.isFresh else { return }
        let (before, positions) = (state, layout.positions(in: former))
        state.largestRates = positions.map { $0.map { before.largestRates[$0] } ?? 0 }
        state.weights = positions.map { $0.map { before.weights[$0] } ?? 0 }
    }

    public mutating func prepare(_ step: inout StepPreparation) {
        prepare(appliedSteps: step.appliedSteps, missedSteps: step.missedSteps)
        for index in shares.indices where !step.concerns(index) {
            next.largestRates[index] = state.largestRates[index]
            next.weights[index] = state.weights[index]
        }
    }

    public mutating func prepare(appliedSteps: Int, missedSteps: [Int]) {
        rules.updateEach(appliedSteps: appliedSteps, missedSteps: missedSteps) { $0.prepare(appliedSteps: $1) }
        for index in rates.indices { rates[index] = Double(schedules[index].value(at: appliedSteps)) }
        for index in shares.indices {
            let rate = rates[rateIndices[index]] * rules[index].rateCorrection
            // What is known of a parameter that was frozen since is of another z and x.
            let isFirst = rules[index].isFirst
            let largest = max(rate, isFirst ? 0 : state.largestRates[index])
            next.largestRates[index] = largest
            next.weights[index] = (isFirst ? 0 : state.weights[index]) + largest * largest
            shares[index] = next.weights[index] > 0 ? Float(largest * largest / next.weights[index]) : 0
        }
    }

    public func elementwiseRule(for parameterIndex: Int, _ rates: UpdateRates) -> ElementwiseRule? {
        let rule = rules[parameterIndex]
        return rule.elementwise(
            .scheduleFreeAdamW, decay: rates.weightDecay, rule.rate(rates), shares[parameterIndex],
            state.isFresh || rule.isFirst ? 1 : 0)
    }

    public func update(_ block: inout some UpdateBlock) {
        let (rule, decay) = (rules[block.parameterIndex], block.rates.weightDecay)
        let rate = rule.rate(block.rates)
        let isFirst = state.isFresh || rule.isFirst
        let (share, beta1) = (shares[block.parameterIndex], rule.beta1)
        if rule.maximize { block.scale(by: -1) }
        block.updateEach { gradient, parameter, second, fast, average in
            let (start, mean) = isFirst ? (parameter, parameter) : (fast, average)
            second = rule.second(second, gradient)
            let direction = gradient / (ReproducibleMath.squareRoot(second) + rule.epsilon) + decay * parameter
            fast = start - rate * direction
            average = mean + share * (fast - mean)
            parameter = fast + beta1 * (average - fast)
        }
    }

    public mutating func finish(_ result: StepResult) throws(DescentError) {
        guard result.isApplied else { return }
        state.isFresh = false
        for index in shares.indices {
            state.largestRates[index] = next.largestRates[index]
            state.weights[index] = next.weights[index]
        }
    }
}

extension MomentRule {
    /// What the rate is multiplied by for the second moment's bias: the root of 1 - beta2^t.
    fileprivate var rateCorrection: Double { (1 / secondCorrection).squareRoot() }

    /// The rate of a step.
    fileprivate func rate(_ rates: UpdateRates) -> Float { Float(Double(rates.learningRate) * rateCorrection) }
}

extension ScheduleFreeAdamW: MomentOptimizer {}

extension ScheduleFreeAdamW: DescribedOptimizer {
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
