import DescentCore
public import DescentTransforms

extension Scale: DescribedStage {
    private enum Setting: String, CodingKey { case by }

    public init(from decoder: any Decoder) throws {
        self.init(by: try decoder.container(keyedBy: Setting.self).decode(Schedule.self, forKey: .by))
    }

    public func encode(to encoder: any Encoder) throws {
        var settings = encoder.container(keyedBy: Setting.self)
        try settings.encode(factor, forKey: .by)
    }
}
