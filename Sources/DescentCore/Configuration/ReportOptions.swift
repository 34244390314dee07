/// What a report is to hold beyond statistics that are computed anyway.
public struct ReportOptions: OptionSet, Sendable, Hashable {
    public let rawValue: Int

    /// Options by their bits.
    public init(rawValue: Int) { self.rawValue = rawValue }

    /// The norm of each layer; costs a sweep over the gradients only if none measures them anyway.
    public static let layerNorms = ReportOptions(rawValue: 1)
    /// The ratio of the update's norm to the parameters'; reads each block of parameters twice more while in cache.
    public static let updateRatio = ReportOptions(rawValue: 2)
}

/// Written as a list of names: `["layerNorms", "updateRatio"]`.
extension ReportOptions: Codable {
    private static let names: [(name: String, option: ReportOptions)] = [
        ("layerNorms", .layerNorms), ("updateRatio", .updateRatio),
    ]

    /// Reads a list of names.
    public init(from decoder: any Decoder) throws {
        var list = try decoder.unkeyedContainer()
        self = []
        while !list.isAtEnd {
            let name = try list.decode(String.self)
            guard let known = Self.names.first(where: { $0.name == name }) else {
                throw DecodingError.dataCorruptedError(
                    in: list,
                    debugDescription:
                        "unknown report option \(name.quotedBriefly)\(name.hint(among: Self.names.map(\.name)))")
            }
            insert(known.option)
        }
    }

    /// Writes a list of names.
    public func encode(to encoder: any Encoder) throws {
        var list = encoder.unkeyedContainer()
        for known in Self.names where contains(known.option) { try list.encode(known.name) }
    }
}
