extension Driving {
    /// The same, which also keeps an exponential moving average of the parameters.
    ///
    /// - Parameter decay: What the average keeps of itself in a step, in 0..<1, such as 0.999.
    /// - Returns: The optimizer with an ``ExponentialMovingAverage`` behind it, which `pipeline.averagedParameters` gives.
    public func averagingParameters(decay: Double) -> DrivingOptimizers {
        then { ExponentialMovingAverage(decay: decay) }
    }

    /// The same, which every few steps goes back part of the way to where it came from.
    ///
    /// - Parameters:
    ///   - synchronizationPeriod: After how many steps it goes back, at least 1.
    ///   - slowStepSize: How far along the way the slow parameters follow, above 0 and up to 1.
    /// - Returns: The optimizer with a ``Lookahead`` behind it.
    public func lookingAhead(synchronizationPeriod: Int = 6, slowStepSize: Float = 0.5) -> DrivingOptimizers {
        then { Lookahead(synchronizationPeriod: synchronizationPeriod, slowStepSize: slowStepSize) }
    }
}

/// An exponential moving average a of the parameters, behind an optimizer: a = decay * a + (1 - decay) * p.
///
/// The average starts as the parameters after the first applied step. State: 4 bytes an element. Polyak and Juditsky,
/// "Acceleration of stochastic approximation by averaging" (1992).
public struct ExponentialMovingAverage: ParameterFollower {
    /// What the average keeps of itself in a step, in 0..<1.
    public var decay: Double
    private var weight: Float = 1

    /// Makes an average.
    ///
    /// - Parameter decay: What it keeps of itself in a step, in 0..<1, such as 0.999.
    public init(decay: Double) { self.decay = decay }

    public var slots: [Slot] { [Slot("average", role: .parameterAverage)] }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try DescentError.require((0..<1).contains(decay), name, "decay is \(decay); it has to lie in 0..<1.")
    }

    public mutating func prepare(appliedSteps: Int) { weight = appliedSteps == 0 ? 1 : Float(1 - decay) }

    public func didMove(_ block: inout some UpdateBlock) {
        block.blendParameters(into: 0, weight: weight, replacing: false)
    }
}

extension ExponentialMovingAverage: DescribedStage {
    private enum CodingKeys: CodingKey { case decay }
}

/// Goes back, every k steps, part of the way that an optimizer has come.
///
///     every k steps:  s = s + slowStepSize * (p - s);  p = s        (s = p before the first step)
///
/// State: 4 bytes an element. Zhang, Lucas, Ba and Hinton, "Lookahead optimizer: k steps forward, 1 step back" (2019).
public struct Lookahead: ParameterFollower {
    /// After how many steps it goes back, at least 1.
    public var synchronizationPeriod: Int
    /// How far along the way the slow parameters follow, above 0 and up to 1.
    public var slowStepSize: Float
    private var isFirst = false
    private var synchronizes = false

    /// Makes a follower.
    ///
    /// - Parameters:
    ///   - synchronizationPeriod: After how many steps it goes back, at least 1.
    ///   - slowStepSize: How far along the way the slow parameters follow, above 0 and up to 1.
    public init(synchronizationPeriod: Int = 6, slowStepSize: Float = 0.5) {
        self.synchronizationPeriod = synchronizationPeriod
        self.slowStepSize = slowStepSize
    }

    public var slots: [Slot] { ["slow parameters"] }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try DescentError.require(
            synchronizationPeriod >= 1, name,
            "synchronizationPeriod is \(synchronizationPeriod); it has to be at least 1.")
        try DescentError.require(
            slowStepSize > 0 && slowStepSize <= 1, name,
            "slowStepSize is \(slowStepSize); it has to lie above 0 and not above 1.")
    }

    public mutating func prepare(appliedSteps: Int) {
        isFirst = appliedSteps == 0
        synchronizes = (appliedSteps + 1).isMultiple(of: synchronizationPeriod)
    }

    public func willMove(_ block: inout some UpdateBlock) {
        if isFirst { block.blendParameters(into: 0, weight: 1, replacing: false) }
    }

    public func didMove(_ block: inout some UpdateBlock) {
        if synchronizes { block.blendParameters(into: 0, weight: slowStepSize, replacing: true) }
    }
}

extension Lookahead: DescribedStage {
    private enum CodingKeys: CodingKey { case synchronizationPeriod, slowStepSize }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self())
        try self.init(
            synchronizationPeriod: settings.value(.synchronizationPeriod, or: usual.synchronizationPeriod),
            slowStepSize: settings.value(.slowStepSize, or: usual.slowStepSize))
    }
}
