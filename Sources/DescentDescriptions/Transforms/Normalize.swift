import DescentCore
public import DescentTransforms

extension Normalize: DescribedStage {
    private enum Setting: String, CodingKey { case epsilon }

    public init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: Setting.self)
        let usual = Self()
        self.init(
            epsilon: try settings.value(.epsilon, or: usual.epsilon))
    }

    public func encode(to encoder: any Encoder) throws {
        var settings = encoder.container(keyedBy: Setting.self)
        try settings.encode(epsilon, forKey: .epsilon)
    }
}
