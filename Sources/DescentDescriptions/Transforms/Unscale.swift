import DescentCore
public import DescentTransforms

extension Unscale: DescribedStage {
    private enum Setting: String, CodingKey { case lossScale }

    public init(from decoder: any Decoder) throws {
        self.init(try decoder.container(keyedBy: Setting.self).value(.lossScale, or: .dynamic()))
    }

    public func encode(to encoder: any Encoder) throws {
        guard !isShared else {
            throw DescentError(
                .invalidDocument, stage: name,
                "a loss scale that pipelines share cannot be written down with one of them")
        }
        var settings = encoder.container(keyedBy: Setting.self)
        try settings.encode(self.settings, forKey: .lossScale)
    }
}
