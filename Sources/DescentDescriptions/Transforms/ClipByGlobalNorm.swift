import DescentCore
public import DescentTransforms

extension ClipByGlobalNorm: DescribedStage {
    private enum Setting: String, CodingKey { case maximum, norm, epsilon }

    public init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: Setting.self)
        let usual = Self(1)
        self.init(
            try settings.decode(Float.self, forKey: .maximum),
            norm: try settings.value(.norm, or: usual.norm),
            epsilon: try settings.value(.epsilon, or: usual.epsilon))
    }

    public func encode(to encoder: any Encoder) throws {
        var settings = encoder.container(keyedBy: Setting.self)
        try settings.encode(maximum, forKey: .maximum)
        try settings.encode(norm, forKey: .norm)
        try settings.encode(epsilon, forKey: .epsilon)
    }
}
