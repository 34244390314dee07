import DescentCore
public import DescentTransforms

extension Mask: DescribedStage {
    private enum Setting: String, CodingKey { case prefix }

    public init(from decoder: any Decoder) throws {
        self.init(prefix: try decoder.container(keyedBy: Setting.self).decode(String.self, forKey: .prefix))
    }

    public func encode(to encoder: any Encoder) throws {
        var settings = encoder.container(keyedBy: Setting.self)
        try settings.encode(try selection.prefix(of: name), forKey: .prefix)
    }
}
