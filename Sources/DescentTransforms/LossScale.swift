import DescentCore

/// How a loss scale is chosen.
///
/// Half-precision gradients below 2^-24 become 0. Multiplying the loss by a large number before gradients are taken,
/// and dividing gradients by it afterwards, keeps them; too large a number makes them overflow.
public struct LossScale: Sendable, Hashable {
    /// The first scale.
    public var initial: Float
    /// What the scale is multiplied by after `growthInterval` applied steps in a row; 1 for a static scale.
    public var growthFactor: Double
    /// What the scale is multiplied by after `hysteresis` skipped steps; 1 for a static scale.
    public var backoffFactor: Double
    /// How many applied steps in a row make the scale grow.
    public var growthInterval: Int
    /// How many skipped steps, since the scale last changed, make it back off.
    public var hysteresis: Int
    /// The scale never falls below this; a step skipped at it throws.
    public var minimum: Float
    /// The scale never grows above this.
    public var maximum: Float
    /// How the scale follows the gradients, if it does not wait for an overflow.
    public var adaptation: Adaptation?

    /// How a scale follows the largest gradient.
    public struct Adaptation: Sendable, Hashable {
        /// How many deviations above the mean, in powers of two, the largest gradient is expected not to exceed.
        public var deviations: Float
        /// What the running mean keeps of itself in a step.
        public var meanDecay: Double
        /// What the running variance keeps of itself in a step.
        public var varianceDecay: Double
        /// The share of nonzero elements below Float16's smallest normal number from which the scale is raised.
        public var smallShareLimit: Float
    }

    /// Grows while gradients are finite and backs off when they are not, as PyTorch's GradScaler does.
    ///
    /// A float32 scale is multiplied by a Double factor, and rounded once: the bits are GradScaler's.
    public static func dynamic(
        initial: Float = 65_536, growthFactor: Double = 2, backoffFactor: Double = 0.5, growthInterval: Int = 2_000,
        hysteresis: Int = 1, minimum: Float = 1, maximum: Float = 16_777_216
    ) -> LossScale {
        LossScale(
            initial: initial, growthFactor: growthFactor, backoffFactor: backoffFactor,
            growthInterval: growthInterval, hysteresis: hysteresis, minimum: minimum, maximum: maximum)
    }

    /// Follows the largest gradient instead of waiting for an overflow.
    ///
    /// A running mean and deviation of log2 of the largest magnitude predict what the next one will not exceed; the
    /// scale is the largest power of two that keeps it within Float16. If too many of the nonzero elements are still
    /// below 6.1e-5, Float16's smallest normal number, it is doubled as far as the last gradient would have allowed.
    /// The LogMax method of NVIDIA's OpenSeq2Seq, with a power of two, and the raise added. Costs nothing but two
    /// counts and a maximum in the sweep that checks gradients.
    ///
    /// - Parameters:
    ///   - initial: The first scale.
    ///   - deviations: How many deviations above the mean to leave room for.
    ///   - meanDecay: What the running mean keeps of itself in a step, in 0..<1.
    ///   - varianceDecay: What the running variance keeps of itself in a step, in 0..<1.
    ///   - smallShareLimit: The share of small elements from which the scale is raised, from 0 to 1.
    ///   - minimum: The scale never falls below this.
    ///   - maximum: The scale never grows above this.
    /// - Returns: The way to choose the scale; its settings are checked when a pipeline is built with it.
    public static func adaptive(
        initial: Float = 65_536, deviations: Float = 3.09, meanDecay: Double = 0.99, varianceDecay: Double = 0.999,
        smallShareLimit: Float = 0.05, minimum: Float = 1, maximum: Float = 16_777_216
    ) -> LossScale {
        LossScale(
            initial: initial, growthFactor: 2, backoffFactor: 0.5, growthInterval: .max, hysteresis: 1,
            minimum: minimum, maximum: maximum,
            adaptation: Adaptation(
                deviations: deviations, meanDecay: meanDecay, varianceDecay: varianceDecay,
                smallShareLimit: smallShareLimit))
    }

    /// Stays what it is.
    public static func `static`(_ scale: Float) -> LossScale {
        LossScale(
            initial: scale, growthFactor: 1, backoffFactor: 1, growthInterval: 1, hysteresis: 1, minimum: scale,
            maximum: scale)
    }

    /// Whether the scale can change.
    public var isDynamic: Bool { growthFactor != 1 || backoffFactor != 1 }
}

extension LossScale {
    /// Refuses settings out of range.
    func validate(for name: String) throws(DescentError) {
        try DescentError.requirePositive(initial, "the loss scale", of: name)
        try DescentError.requirePositive(minimum, "minimum", of: name)
        try DescentError.requirePositive(maximum, "maximum", of: name)
        try DescentError.require(
            Float(1 / Double(minimum)).isFinite, name,
            "the loss scale \(minimum) is so small that dividing by it leaves the range of Float.")
        try DescentError.require(
            minimum <= initial && initial <= maximum, name,
            "the initial scale \(initial) has to lie between the minimum \(minimum) and the maximum \(maximum).")
        try DescentError.require(
            growthFactor.isFinite && growthFactor >= 1, name,
            "growthFactor is \(growthFactor); it has to be a finite number of at least 1.")
        try DescentError.require(
            backoffFactor > 0 && backoffFactor <= 1, name,
            "backoffFactor is \(backoffFactor); it has to lie above 0 and not above 1.")
        try DescentError.require(
            growthInterval >= 1, name, "growthInterval is \(growthInterval); it has to be at least 1.")
        try DescentError.require(hysteresis >= 1, name, "hysteresis is \(hysteresis); it has to be at least 1.")
        guard let adaptation else { return }
        try DescentError.require(
            adaptation.deviations.isFinite && adaptation.deviations >= 0, name,
            "deviations is \(adaptation.deviations); it has to be a finite number of at least 0.")
        try DescentError.require(
            (0..<1).contains(adaptation.meanDecay) && (0..<1).contains(adaptation.varianceDecay), name,
            "meanDecay and varianceDecay have to lie in 0..<1.")
        try DescentError.require(
            (0...1).contains(adaptation.smallShareLimit), name,
            "smallShareLimit is \(adaptation.smallShareLimit); it has to lie in 0...1.")
    }
}

/// Written under the name of what made it: `{"static": 1024}`, `{"dynamic": {"growthInterval": 500}}`,
/// `{"adaptive": {}}`.
extension LossScale: Codable {
    private enum Form: String, CodingKey { case `static`, dynamic, adaptive }
    private enum Setting: String, CodingKey {
        case initial, growthFactor, backoffFactor, growthInterval, hysteresis, minimum, maximum
        case deviations, meanDecay, varianceDecay, smallShareLimit
    }

    /// Reads a loss scale; settings that are left out are what they are by default.
    public init(from decoder: any Decoder) throws {
        let form = try decoder.container(keyedBy: Form.self)
        if form.contains(.static) {
            self = .static(try form.decode(Float.self, forKey: .static))
            return
        }
        let isAdaptive = form.contains(.adaptive)
        var scale = isAdaptive ? LossScale.adaptive() : .dynamic()
        let settings = try form.nestedContainer(keyedBy: Setting.self, forKey: isAdaptive ? .adaptive : .dynamic)
        func read<Value: Decodable>(_ setting: Setting, into value: inout Value) throws {
            value = try settings.decodeIfPresent(Value.self, forKey: setting) ?? value
        }
        try read(.initial, into: &scale.initial)
        try read(.minimum, into: &scale.minimum)
        try read(.maximum, into: &scale.maximum)
        if var adaptation = scale.adaptation {
            try read(.deviations, into: &adaptation.deviations)
            try read(.meanDecay, into: &adaptation.meanDecay)
            try read(.varianceDecay, into: &adaptation.varianceDecay)
            try read(.smallShareLimit, into: &adaptation.smallShareLimit)
            scale.adaptation = adaptation
        } else {
            try read(.growthFactor, into: &scale.growthFactor)
            try read(.backoffFactor, into: &scale.backoffFactor)
            try read(.growthInterval, into: &scale.growthInterval)
            try read(.hysteresis, into: &scale.hysteresis)
        }
        self = scale
    }

    public func encode(to encoder: any Encoder) throws {
        var form = encoder.container(keyedBy: Form.self)
        if self == .static(initial) { return try form.encode(initial, forKey: .static) }
        var settings = form.nestedContainer(keyedBy: Setting.self, forKey: adaptation == nil ? .dynamic : .adaptive)
        try settings.encode(initial, forKey: .initial)
        try settings.encode(minimum, forKey: .minimum)
        try settings.encode(maximum, forKey: .maximum)
        if let adaptation {
            try settings.encode(adaptation.deviations, forKey: .deviations)
            try settings.encode(adaptation.meanDecay, forKey: .meanDecay)
            try settings.encode(adaptation.varianceDecay, forKey: .varianceDecay)
            try settings.encode(adaptation.smallShareLimit, forKey: .smallShareLimit)
        } else {
            try settings.encode(growthFactor, forKey: .growthFactor)
            try settings.encode(backoffFactor, forKey: .backoffFactor)
            try settings.encode(growthInterval, forKey: .growthInterval)
            try settings.encode(hysteresis, forKey: .hysteresis)
        }
    }
}
