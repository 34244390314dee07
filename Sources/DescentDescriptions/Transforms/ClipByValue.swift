import DescentCore
public import DescentTransforms

extension ClipByValue: DescribedStage {
    private enum Setting: String, CodingKey { case limit, lower, upper }

    public init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: Setting.self)
        if let limit = try settings.decodeIfPresent(Float.self, forKey: .limit) {
            self.init(limit)
            return
        }
        let (lower, upper) = (
            try settings.decode(Float.self, forKey: .lower), try settings.decode(Float.self, forKey: .upper)
        )
        guard lower <= upper else {
            throw DecodingError.dataCorruptedError(
                forKey: .lower, in: settings, debugDescription: "expected at most \(upper), found \(lower)")
        }
        self.init(lower...upper)
    }

    public func encode(to encoder: any Encoder) throws {
        var settings = encoder.container(keyedBy: Setting.self)
        if lower == -upper { return try settings.encode(upper, forKey: .limit) }
        try settings.encode(lower, forKey: .lower)
        try settings.encode(upper, forKey: .upper)
    }
}
