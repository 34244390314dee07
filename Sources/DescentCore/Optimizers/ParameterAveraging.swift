extension Optimizer {
    /// The same optimizer, which also keeps an exponential moving average of the parameters.
    ///
    /// - Parameter decay: What the average keeps of itself in a step, in 0..<1, such as 0.999.
    /// - Returns: The optimizer with a slot "average", which `pipeline.averagedParameters` gives.
    public func averagingParameters(decay: Double) -> ExponentialMovingAverage<Self> {
        ExponentialMovingAverage(of: self, decay: decay)
    }

    /// The same optimizer, which every few steps goes back part of the way to where it came from.
    ///
    /// - Parameters:
    ///   - synchronizationPeriod: After how many steps it goes back, at least 1.
    ///   - slowStepSize: How far along the way the slow parameters follow, above 0 and up to 1.
    /// - Returns: The optimizer with a slot "slow parameters".
    public func lookingAhead(synchronizationPeriod: Int = 6, slowStepSize: Float = 0.5) -> Lookahead<Self> {
        Lookahead(self, synchronizationPeriod: synchronizationPeriod, slowStepSize: slowStepSize)
    }
}

/// An optimizer that also keeps an exponential moving average a of the parameters: a = decay * a + (1 - decay) * p.
///
/// The average starts as the parameters after the first applied step. State: 4 bytes an element more. Polyak and
/// Juditsky, "Acceleration of stochastic approximation by averaging" (1992).
public struct ExponentialMovingAverage<Base: Optimizer>: Optimizer {
    /// The optimizer that it is around.
    public private(set) var base: Base
    /// What the average keeps of itself in a step.
    public let decay: Double
    private var weight: Float = 1

    init(of base: Base, decay: Double) {
        self.base = base
        self.decay = decay
    }

    public var state: Base.State {
        get { base.state }
        set { base.state = newValue }
    }
    public var name: String { "\(base.name) with averaging" }
    public var learningRate: Schedule { base.learningRate }
    public var weightDecay: Base.WeightDecay { base.weightDecay }
    public var groups: [ParameterGroup] { base.groups }
    public var groupSettings: [GroupSettings.Name] { base.groupSettings }
    public var slots: [Slot] { base.slots + [Slot("average", role: .parameterAverage)] }
    public var proposesUpdate: Bool { base.proposesUpdate }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try base.configure(for: layout)
        try DescentError.require((0..<1).contains(decay), name, "decay is \(decay); it has to lie in 0..<1.")
    }

    public mutating func prepare(appliedSteps: Int) {
        base.prepare(appliedSteps: appliedSteps)
        weight = appliedSteps == 0 ? 1 : Float(1 - decay)
    }

    public func propose(_ block: inout some UpdateBlock) { base.propose(&block) }

    public mutating func prepareUpdate(updateNorms: [Double], parameterNorms: [Double]) {
        base.prepareUpdate(updateNorms: updateNorms, parameterNorms: parameterNorms)
    }

    public func update(_ block: inout some UpdateBlock) {
        base.update(&block)
        block.blendParameters(into: base.slots.count, weight: weight, replacing: false)
    }
}

/// Written around what it averages: `{"optimizer": "ExponentialMovingAverage", "decay": 0.999, "of": "AdamW"}`.
extension ExponentialMovingAverage: Codable, DescribedOptimizer, DescribedWrapper where Base: DescribedOptimizer {
    private enum CodingKeys: String, CodingKey {
        case base = "of"
        case decay
    }

    public static var typeName: String { "ExponentialMovingAverage" }

    public static func around<Other: DescribedOptimizer>(_ base: Other.Type) -> any DescribedOptimizer.Type {
        ExponentialMovingAverage<Other>.self
    }
}

/// An optimizer that every k steps goes back part of the way to where it came from.
///
///     every k steps:  s = s + slowStepSize * (p - s);  p = s        (s = p before the first step)
///
/// State: 4 bytes an element more. Zhang, Lucas, Ba and Hinton, "Lookahead optimizer: k steps forward, 1 step back"
/// (2019).
public struct Lookahead<Base: Optimizer>: Optimizer {
    /// The optimizer that it is around.
    public private(set) var base: Base
    /// After how many steps it goes back.
    public let synchronizationPeriod: Int
    /// How far along the way the slow parameters follow.
    public let slowStepSize: Float
    private var isFirst = false
    private var synchronizes = false

    init(_ base: Base, synchronizationPeriod: Int, slowStepSize: Float) {
        self.base = base
        self.synchronizationPeriod = synchronizationPeriod
        self.slowStepSize = slowStepSize
    }

    public var state: Base.State {
        get { base.state }
        set { base.state = newValue }
    }
    public var name: String { "\(base.name) with lookahead" }
    public var learningRate: Schedule { base.learningRate }
    public var weightDecay: Base.WeightDecay { base.weightDecay }
    public var groups: [ParameterGroup] { base.groups }
    public var groupSettings: [GroupSettings.Name] { base.groupSettings }
    public var slots: [Slot] { base.slots + ["slow parameters"] }
    public var proposesUpdate: Bool { base.proposesUpdate }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try base.configure(for: layout)
        try DescentError.require(
            synchronizationPeriod >= 1, name,
            "synchronizationPeriod is \(synchronizationPeriod); it has to be at least 1.")
        try DescentError.require(
            slowStepSize > 0 && slowStepSize <= 1, name,
            "slowStepSize is \(slowStepSize); it has to lie above 0 and not above 1.")
    }

    public mutating func prepare(appliedSteps: Int) {
        base.prepare(appliedSteps: appliedSteps)
        isFirst = appliedSteps == 0
        synchronizes = (appliedSteps + 1).isMultiple(of: synchronizationPeriod)
    }

    public func propose(_ block: inout some UpdateBlock) { base.propose(&block) }

    public mutating func prepareUpdate(updateNorms: [Double], parameterNorms: [Double]) {
        base.prepareUpdate(updateNorms: updateNorms, parameterNorms: parameterNorms)
    }

    public func update(_ block: inout some UpdateBlock) {
        if isFirst { block.blendParameters(into: base.slots.count, weight: 1, replacing: false) }
        base.update(&block)
        if synchronizes {
            block.blendParameters(into: base.slots.count, weight: slowStepSize, replacing: true)
        }
    }
}

/// Written around the optimizer that looks ahead: `{"optimizer": "Lookahead", "slowStepSize": 0.8, "of": "AdamW"}`.
extension Lookahead: Codable, DescribedOptimizer, DescribedWrapper where Base: DescribedOptimizer {
    private enum CodingKeys: String, CodingKey {
        case base = "of"
        case synchronizationPeriod, slowStepSize
    }

    public static var typeName: String { "Lookahead" }

    public static func around<Other: DescribedOptimizer>(_ base: Other.Type) -> any DescribedOptimizer.Type {
        Lookahead<Other>.self
    }

    public init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: CodingKeys.self)
        let base: Base = try settings.value(.base)
        let usual = base.lookingAhead()
        try self.init(
            base, synchronizationPeriod: settings.value(.synchronizationPeriod, or: usual.synchronizationPeriod),
            slowStepSize: settings.value(.slowStepSize, or: usual.slowStepSize))
    }
}
