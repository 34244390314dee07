import DescentCore
public import DescentTransforms

extension ClipLayerwise: DescribedStage {
    private enum Setting: String, CodingKey { case `default`, layers, epsilon }

    public init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: Setting.self)
        self.init(
            default: try settings.decodeIfPresent(Float.self, forKey: .default),
            layers: try settings.value(.layers, or: [:]),
            epsilon: try settings.value(.epsilon, or: Self(default: 1).epsilon))
    }

    public func encode(to encoder: any Encoder) throws {
        guard layer == nil else {
            throw DescentError(.invalidDocument, stage: name, "layers that a closure makes cannot be written down")
        }
        var settings = encoder.container(keyedBy: Setting.self)
        try settings.encodeIfPresent(defaultMaximum, forKey: .default)
        if !maxima.isEmpty { try settings.encode(maxima, forKey: .layers) }
        try settings.encode(epsilon, forKey: .epsilon)
    }
}
