/// Written as its name, "l2", and a power under its own: `{"lp": 3}`.
extension Norm: Codable {
    private enum Form: String, CodingKey { case lp }

    public init(from decoder: any Decoder) throws {
        guard let name = try? decoder.singleValueContainer().decode(String.self) else {
            self = .lp(try decoder.container(keyedBy: Form.self).decode(Double.self, forKey: .lp))
            return
        }
        switch name {
        case "l1": self = .l1
        case "l2": self = .l2
        case "lInfinity": self = .lInfinity
        default:
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: decoder.codingPath,
                    debugDescription:
                        "expected \"l1\", \"l2\", \"lInfinity\" or {\"lp\": p}, found \(name.quotedBriefly)"))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        if case .lp(let p) = self {
            var form = encoder.container(keyedBy: Form.self)
            return try form.encode(p, forKey: .lp)
        }
        var container = encoder.singleValueContainer()
        try container.encode(self == .l1 ? "l1" : self == .l2 ? "l2" : "lInfinity")
    }
}
