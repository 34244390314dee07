public import DescentCore

/// Muon: momentum, orthogonalized, for matrices; with another optimizer for all that is no matrix.
///
///     m = momentum * m + (1 - momentum) * g
///     d = momentum * m / (1 - momentum^(t+1)) + (1 - momentum) * g / (1 - momentum^t)     (nesterov)
///     d = m / (1 - momentum^t)                                                            (otherwise)
///     u = sqrt(max(1, rows / columns)) * orthogonalized(d) + weightDecay * p
///     p = p - learningRate * u
///
/// ```swift
/// driving: {
///     Muon(learningRate: 0.02, others: AdamW(learningRate: 0.001))
/// }
/// ```
/// It takes the parameters of rank 2, whose rows are output units; `others` has the rest, and without it an optimizer that
/// stands behind this one. Of parameters of higher rank, if they are asked for, an output unit is a row. What
/// orthogonalizing means, ``NewtonSchulz`` says.
///
/// A gradient of zeros in the first step moves nothing but by weight decay. t counts applied steps from 1. State: 4 bytes
/// an element. Scratch memory: three times the largest matrix, where that is square, and less otherwise.
///
/// Matrices are worked on one after another, each by all threads of the system's BLAS. The same inputs give the same bits
/// only with the same BLAS, on processors of one type, with one number of threads.
///
/// Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), as Optax computes it.
public struct Muon: DirectionalOptimizer {
    public var learningRate: Schedule
    /// The share of the momentum that remains after a step.
    public var momentum: Schedule
    /// Whether the update looks ahead along the momentum.
    public var nesterov: Bool
    public var weightDecay: Schedule
    /// How matrices are made orthogonal.
    public var newtonSchulz: NewtonSchulz
    /// The ranks of the parameters that are taken.
    public var ranks: ClosedRange<Int>
    public var groups: [ParameterGroup]
    /// What takes the parameters that are no matrices; nil for what stands behind.
    public var others: (any Driving)?
    private var rules: GroupedRules<Rule>

    /// Makes an optimizer.
    ///
    /// - Parameters:
    ///   - learningRate: The step size, finite and at least 0, or a schedule of such.
    ///   - momentum: The share of the momentum that remains, in 0..<1, or a schedule of such.
    ///   - nesterov: Whether to look ahead along the momentum.
    ///   - weightDecay: The share of the parameter, times the learning rate, that a step takes away; finite and at least
    ///     0, or a schedule of such.
    ///   - newtonSchulz: How matrices are made orthogonal.
    ///   - ranks: The ranks of the parameters that are taken; `2...4` for kernels of convolutions too. At least 2.
    ///   - groups: Settings for some of the parameters.
    ///   - others: The optimizer of all other parameters, or several; nil for what stands behind this one.
    public init(
        learningRate: Schedule = 0.02, momentum: some ScheduleConvertible = 0.95, nesterov: Bool = true,
        weightDecay: some ScheduleConvertible = 0,
        newtonSchulz: NewtonSchulz = NewtonSchulz(), ranks: ClosedRange<Int> = 2...2, groups: [ParameterGroup] = [],
        others: (any Driving)? = nil
    ) {
        self.learningRate = learningRate
        self.momentum = momentum.schedule
        self.nesterov = nesterov
        self.weightDecay = weightDecay.schedule
        self.newtonSchulz = newtonSchulz
        self.ranks = ranks
        self.groups = groups
        self.others = others
        rules = GroupedRules(Rule(momentum: momentum.schedule, nesterov: nesterov, owner: "Muon"))
    }

    /// Makes an optimizer with a learning rate of any number; otherwise as with a schedule.
    @_disfavoredOverload public init(
        learningRate: some ScheduleConvertible, momentum: some ScheduleConvertible = 0.95, nesterov: Bool = true,
        weightDecay: some ScheduleConvertible = 0, newtonSchulz: NewtonSchulz = NewtonSchulz(),
        ranks: ClosedRange<Int> = 2...2, groups: [ParameterGroup] = [], others: (any Driving)? = nil
    ) {
        self.init(
            learningRate: learningRate.schedule, momentum: momentum, nesterov: nesterov, weightDecay: weightDecay,
            newtonSchulz: newtonSchulz, ranks: ranks, groups: groups, others: others)
    }

    public var branches: [OptimizerBranch] {
        [OptimizerBranch(self, only: .rank(ranks), mayBeUnused: others != nil)] + (others?.branches ?? [])
    }

    public var groupSettings: [GroupSettings.Name] { [.momentum, .nesterov] }
    public var slots: [Slot] { ["momentum"] }
    public var reach: StageReach { .tensors(inTurn: true) }

    public func scratchCount(for parameter: ParameterDescription) -> Int {
        NewtonSchulz.scratchCount(rows: parameter.rowCount, columns: parameter.columnCount)
    }

    /// The direction of a matrix is scaled by the root of its rows over its columns, if that is above 1.
    public func dependsOnRows(of parameter: ParameterDescription) -> Bool { true }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try newtonSchulz.validate(for: name)
        try DescentError.require(
            ranks.lowerBound >= 2, name, "ranks is \(ranks); a parameter of rank 0 or 1 is no matrix.")
        let usual = self
        rules = try GroupedRules(groups, of: name, in: layout) { settings, owner throws(DescentError) in
            let momentum = settings.momentum.map { Schedule.constant($0) } ?? usual.momentum
            try momentum.validate("momentum", of: owner, in: .decay)
            return Rule(momentum: momentum, nesterov: settings.nesterov ?? usual.nesterov, owner: owner)
        }
    }

    public mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {
        let appliedSteps = step.appliedSteps
        var problem: String?
        rules.updateEach(appliedSteps: appliedSteps, missedSteps: step.missedSteps) { rule, updates in
            problem = problem ?? rule.problem(at: appliedSteps)
            rule.prepare(appliedSteps: appliedSteps, updates: updates)
        }
        if let problem { step.veto(problem) }
    }

    public func makeDirection(_ block: inout some UpdateBlock) {
        let rule = rules[block.parameterIndex]
        block.directEach { gradient, _, momentum in
            momentum = (rule.kept * momentum + rule.added * gradient).flushed
            gradient = rule.momentumFactor * momentum + rule.gradientFactor * gradient
        }
        let (rows, columns) = (block.rowCount, block.columnCount)
        let scale = max(1, Double(rows) / Double(max(columns, 1))).squareRoot()
        var newtonSchulz = newtonSchulz
        newtonSchulz.epsilon *= rule.epsilonFactor
        block.withUnsafeElements { memory in
            newtonSchulz.orthogonalize(
                memory.gradient, rows: rows, columns: columns, times: Float(scale), scratch: memory.scratch)
        }
        let decay = block.rates.weightDecay
        guard decay != 0 else { return }
        block.directEach { direction, parameter in direction += decay * parameter }
    }
}

extension Muon {
    /// How momentum is made of a parameter's gradients, in one step.
    fileprivate struct Rule: Sendable {
        let momentum: Schedule
        let nesterov: Bool
        /// Whose rule it is, for errors.
        let owner: String
        /// What the momentum is multiplied by before the gradient is added, and what the gradient.
        private(set) var kept: Float = 0
        private(set) var added: Float = 0
        /// What momentum and gradient are multiplied by to be d, times 1 - momentum^t.
        ///
        /// The matrix is divided by its norm anyway; and like this it is finite wherever gradients are.
        private(set) var momentumFactor: Float = 0
        private(set) var gradientFactor: Float = 0
        /// What the matrix has been multiplied by, and epsilon has to be.
        private(set) var epsilonFactor: Float = 0

        init(momentum: Schedule, nesterov: Bool, owner: String) {
            self.momentum = momentum
            self.nesterov = nesterov
            self.owner = owner
        }

        /// What speaks against a step; nil if nothing does.
        func problem(at appliedSteps: Int) -> String? {
            momentum.problem("momentum", at: appliedSteps, in: .decay).map { "\(owner): \($0)" }
        }

        /// Makes the factors of a step, each rounded once, for parameters that have had so many updates.
        mutating func prepare(appliedSteps: Int, updates: Int) {
            let momentum = momentum.unroundedValue(at: appliedSteps)
            let step = updates + 1
            kept = Float(momentum)
            added = Float(1 - momentum)
            let weight = 1 - ReproducibleMath.power(momentum, step)
            let nextWeight = 1 - ReproducibleMath.power(momentum, step + 1)
            momentumFactor = Float(nesterov ? momentum * weight / nextWeight : 1)
            gradientFactor = Float(nesterov ? 1 - momentum : 0)
            epsilonFactor = Float(weight)
        }
    }
}

extension Muon: DescribedOptimizer {
    private enum CodingKeys: CodingKey {
        case learningRate, momentum, nesterov, weightDecay, newtonSchulz, ranks, groups
    }

    /// Reads the settings; a document names other optimizers beside it.
    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self())
        try self.init(
            learningRate: settings.value(.learningRate, or: usual.learningRate),
            momentum: settings.value(.momentum, or: usual.momentum),
            nesterov: settings.value(.nesterov, or: usual.nesterov),
            weightDecay: settings.value(.weightDecay, or: usual.weightDecay),
            newtonSchulz: settings.value(.newtonSchulz, or: usual.newtonSchulz),
            ranks: settings.value(.ranks, or: usual.ranks), groups: settings.value(.groups, or: usual.groups))
    }
}
