import DescentCore
public import DescentTransforms

extension AddNoise: DescribedStage {
    private enum Setting: String, CodingKey { case eta, gamma, seed }

    public init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: Setting.self)
        let usual = Self(seed: 0)
        self.init(
            eta: try settings.value(.eta, or: usual.eta),
            gamma: try settings.value(.gamma, or: usual.gamma),
            seed: try settings.decode(UInt64.self, forKey: .seed))
    }

    public func encode(to encoder: any Encoder) throws {
        var settings = encoder.container(keyedBy: Setting.self)
        try settings.encode(eta, forKey: .eta)
        try settings.encode(gamma, forKey: .gamma)
        try settings.encode(seed, forKey: .seed)
    }
}
