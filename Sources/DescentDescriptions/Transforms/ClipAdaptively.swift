import DescentCore
public import DescentTransforms

extension ClipAdaptively: DescribedStage {
    private enum Setting: String, CodingKey { case factor, epsilon, excluding }

    public init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: Setting.self)
        let usual = Self()
        let prefix = try settings.decodeIfPresent(String.self, forKey: .excluding)
        self.init(
            factor: try settings.value(.factor, or: usual.factor),
            epsilon: try settings.value(.epsilon, or: usual.epsilon),
            excluding: prefix.map { ParameterSelection.named(prefix: $0) })
    }

    public func encode(to encoder: any Encoder) throws {
        var settings = encoder.container(keyedBy: Setting.self)
        try settings.encode(factor, forKey: .factor)
        try settings.encode(epsilon, forKey: .epsilon)
        if let exclusion { try settings.encode(try exclusion.prefix(of: name), forKey: .excluding) }
    }
}
