import DescentCore
public import DescentTransforms

extension ClipByNorm: DescribedStage {
    private enum Setting: String, CodingKey { case maximum, epsilon }

    public init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: Setting.self)
        let usual = Self(1)
        self.init(
            try settings.decode(Float.self, forKey: .maximum),
            epsilon: try settings.value(.epsilon, or: usual.epsilon))
    }

    public func encode(to encoder: any Encoder) throws {
        var settings = encoder.container(keyedBy: Setting.self)
        try settings.encode(maximum, forKey: .maximum)
        try settings.encode(epsilon, forKey: .epsilon)
    }
}
