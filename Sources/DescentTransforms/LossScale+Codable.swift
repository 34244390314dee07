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
