import DescentCore
public import DescentTransforms

extension ClipByPercentile: DescribedStage {
    private enum Setting: String, CodingKey { case percentile, historyLength, epsilon }

    public init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: Setting.self)
        let usual = Self(1)
        self.init(
            try settings.decode(Float.self, forKey: .percentile),
            historyLength: try settings.value(.historyLength, or: usual.historyLength),
            epsilon: try settings.value(.epsilon, or: usual.epsilon))
    }

    public func encode(to encoder: any Encoder) throws {
        var settings = encoder.container(keyedBy: Setting.self)
        try settings.encode(percentile, forKey: .percentile)
        try settings.encode(historyLength, forKey: .historyLength)
        try settings.encode(epsilon, forKey: .epsilon)
    }
}
