import DescentCore
public import DescentTransforms

extension ClipByZScore: DescribedStage {
    private enum Setting: String, CodingKey { case threshold, decay, warmup }

    public init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: Setting.self)
        let usual = Self()
        self.init(
            threshold: try settings.value(.threshold, or: usual.threshold),
            decay: try settings.value(.decay, or: usual.decay),
            warmup: try settings.value(.warmup, or: usual.warmup))
    }

    public func encode(to encoder: any Encoder) throws {
        var settings = encoder.container(keyedBy: Setting.self)
        try settings.encode(threshold, forKey: .threshold)
        try settings.encode(decay, forKey: .decay)
        try settings.encode(warmup, forKey: .warmup)
    }
}
