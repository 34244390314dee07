/// Which parameters something concerns.
public enum ParameterSelection: Sendable {
    /// Those whose names begin in one of these ways.
    case named(prefixes: [String])
    /// Those whose rank lies in a range.
    case rank(ClosedRange<Int>)
    /// Those for which a closure says so; it cannot be written down in a document.
    case satisfying(@Sendable (ParameterDescription) -> Bool)

    /// Those whose names begin so.
    public static func named(prefix: String) -> ParameterSelection { .named(prefixes: [prefix]) }

    /// Whether a parameter is among them.
    public func contains(_ parameter: ParameterDescription) -> Bool {
        switch self {
        case .named(let prefixes): prefixes.contains { parameter.name.hasPrefix($0) }
        case .rank(let ranks): ranks.contains(parameter.rank)
        case .satisfying(let condition): condition(parameter)
        }
    }

    /// Those that are in both.
    func and(_ other: ParameterSelection) -> ParameterSelection {
        .satisfying { self.contains($0) && other.contains($0) }
    }

    /// How the names of the parameters begin, if that is what tells them.
    public var prefixes: [String]? {
        if case .named(let prefixes) = self { prefixes } else { nil }
    }

    /// What it is called in errors and explanations: "named head.*".
    var label: String {
        switch self {
        case .named(let prefixes): "named " + prefixes.map { "\($0)*" }.joined(separator: ", ")
        case .rank(let ranks): "rank \(ranks.lowerBound) to \(ranks.upperBound)"
        case .satisfying: "chosen by a closure"
        }
    }

    /// Refuses a selection that holds no parameter of a layout, or a beginning that no name has.
    ///
    /// - Throws: ``DescentError`` with code `invalidSetting` that names the first parameters that there are.
    package func requireMatch(in layout: ParameterLayout, of stage: String) throws(DescentError) {
        let names = layout.prefix(8).map { $0.name.cut(to: 80) }.joined(separator: ", ")
        try DescentError.require(
            layout.isEmpty || layout.contains(where: contains), stage, "no parameter is chosen; there are \(names).")
        for prefix in prefixes ?? [] {
            try DescentError.require(
                layout.isEmpty || layout.contains { $0.name.hasPrefix(prefix) }, stage,
                "no parameter's name begins with \(prefix.quotedBriefly); there are \(names).")
        }
    }
}

/// Written as the beginning of names, a list of such, or the first and the last rank: `"head."`, `["head.", "body."]`,
/// `{"rank": [0, 1]}`; where it is one of several settings, as a member `"prefix"` or `"rank"` among them.
extension ParameterSelection: Codable {
    private enum CodingKeys: CodingKey { case prefix, rank }

    /// Reads a selection, alone or among other settings.
    public init(from decoder: any Decoder) throws {
        guard let settings = try? decoder.container(keyedBy: CodingKeys.self) else {
            self = .named(prefixes: try Prefixes(from: decoder).names)
            return
        }
        guard let ranks = try settings.decodeIfPresent([Int].self, forKey: .rank) else {
            self = .named(prefixes: try settings.decode(Prefixes.self, forKey: .prefix).names)
            return
        }
        guard ranks.count == 2, ranks[0] <= ranks[1] else {
            throw DecodingError.dataCorruptedError(
                forKey: .rank, in: settings, debugDescription: "expected the first and the last rank, found \(ranks)")
        }
        self = .rank(ranks[0]...ranks[1])
    }

    /// Writes the selection alone.
    ///
    /// - Throws: ``DescentError`` with code `invalidDocument` for a closure.
    public func encode(to encoder: any Encoder) throws {
        guard let prefixes else { return try encodeMembers(to: encoder) }
        try Prefixes(names: prefixes).encode(to: encoder)
    }

    /// Writes the selection as one of several settings.
    ///
    /// - Throws: ``DescentError`` with code `invalidDocument` for a closure.
    public func encodeMembers(to encoder: any Encoder) throws {
        var settings = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .named(let prefixes): try settings.encode(Prefixes(names: prefixes), forKey: .prefix)
        case .rank(let ranks): try settings.encode([ranks.lowerBound, ranks.upperBound], forKey: .rank)
        case .satisfying:
            throw DescentError(
                .invalidDocument,
                "parameters that a closure chooses cannot be written down; choose them by names or ranks")
        }
    }

    /// One beginning of names, or a list of such.
    private struct Prefixes: Codable {
        let names: [String]

        init(names: [String]) { self.names = names }

        init(from decoder: any Decoder) throws {
            let isList = (try? decoder.unkeyedContainer()) != nil
            names = isList ? try [String](from: decoder) : [try decoder.singleValueContainer().decode(String.self)]
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            if names.count == 1 { try container.encode(names[0]) } else { try container.encode(names) }
        }
    }
}
