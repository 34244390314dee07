/// What a pipeline does about a gradient that is not finite.
public enum NonFinitePolicy: Sendable, Hashable {
    /// The step is skipped and changes nothing; the outcome names the parameter.
    ///
    /// Where the chain measures no norm anyway, this costs one sweep that reads the gradients.
    case skip
    /// The same, but more such skips in a row throw: a model that never recovers is not trained in silence.
    ///
    /// Steps that a stage vetoes neither count nor start the count anew.
    case skipAtMost(Int)
    /// The step is applied, NaN and infinities included, unless a stage vetoes it.
    case propagate

    var skips: Bool { self != .propagate }

    /// How many steps in a row may be skipped; nil for any number.
    var skipLimit: Int? { if case .skipAtMost(let limit) = self { limit } else { nil } }
}

/// Written as its name, "skip" or "propagate", and a limit under its own: `{"skipAtMost": 20}`.
extension NonFinitePolicy: Codable {
    private enum Form: String, CodingKey { case skipAtMost }

    /// Reads a name or a limit.
    public init(from decoder: any Decoder) throws {
        guard let name = try? decoder.singleValueContainer().decode(String.self) else {
            self = .skipAtMost(try decoder.container(keyedBy: Form.self).decode(Int.self, forKey: .skipAtMost))
            return
        }
        switch name {
        case "skip": self = .skip
        case "propagate": self = .propagate
        default:
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: decoder.codingPath,
                    debugDescription:
                        "expected \"skip\", \"propagate\" or {\"skipAtMost\": limit}, found \(name.quotedBriefly)"))
        }
    }

    /// Writes a name or a limit.
    public func encode(to encoder: any Encoder) throws {
        if case .skipAtMost(let limit) = self {
            var form = encoder.container(keyedBy: Form.self)
            return try form.encode(limit, forKey: .skipAtMost)
        }
        var container = encoder.singleValueContainer()
        try container.encode(self == .skip ? "skip" : "propagate")
    }
}
