/// Which parameters something concerns.
public enum ParameterSelection: Sendable {
    /// Those whose names begin in one of these ways.
    case named(prefixes: [String])
    /// Those whose names end in one of these ways.
    case ending(in: [String])
    /// Those whose rank lies in a range.
    case rank(ClosedRange<Int>)
    /// Those for which a closure says so; it cannot be written down in a document.
    case satisfying(@Sendable (ParameterDescription) -> Bool)

    /// Those whose names begin so.
    public static func named(prefix: String) -> ParameterSelection { .named(prefixes: [prefix]) }

    /// Those whose names end so.
    public static func named(suffix: String) -> ParameterSelection { .ending(in: [suffix]) }

    /// All that there are.
    public static let all = ParameterSelection.named(prefixes: [""])

    /// Whether a parameter is among them.
    public func contains(_ parameter: ParameterDescription) -> Bool {
        switch self {
        case .named(let prefixes): prefixes.contains { parameter.name.hasPrefix($0) }
        case .ending(let suffixes): suffixes.contains { parameter.name.hasSuffix($0) }
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

    /// How the names of the parameters end, if that is what tells them.
    public var suffixes: [String]? {
        if case .ending(let suffixes) = self { suffixes } else { nil }
    }

    /// Whether parts of names tell the parameters, so that one that no name has is a slip.
    package var isByNames: Bool { prefixes != nil || suffixes != nil }

    /// What it is called in errors and explanations: "named head.*".
    var label: String {
        switch self {
        case .named(let prefixes): "named " + prefixes.map { "\($0)*" }.joined(separator: ", ")
        case .ending(let suffixes): "named " + suffixes.map { "*\($0)" }.joined(separator: ", ")
        case .rank(let ranks): "rank \(ranks.lowerBound) to \(ranks.upperBound)"
        case .satisfying: "chosen by a closure"
        }
    }

    /// Refuses a selection that holds no parameter of a layout, or a beginning or an end that no name has.
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
        for suffix in suffixes ?? [] {
            try DescentError.require(
                layout.isEmpty || layout.contains { $0.name.hasSuffix(suffix) }, stage,
                "no parameter's name ends in \(suffix.quotedBriefly); there are \(names).")
        }
    }
}

/// Written as the beginning of names, a list of such, the end of names or a list of such, or the first and the last rank:
/// `"head."`, `["head.", "body."]`, `{"suffix": "bias"}`, `{"rank": [0, 1]}`; where it is one of several settings, as a member
/// `"prefix"`, `"suffix"` or `"rank"` among them.
extension ParameterSelection: Codable {
    private enum CodingKeys: CodingKey { case prefix, suffix, rank }

    /// Reads a selection, alone or among other settings.
    public init(from decoder: any Decoder) throws {
        guard let settings = try? decoder.container(keyedBy: CodingKeys.self) else {
            self = .named(prefixes: try Parts(from: decoder).names)
            return
        }
        if let suffixes = try settings.decodeIfPresent(Parts.self, forKey: .suffix) {
            self = .ending(in: suffixes.names)
            return
        }
        guard let ranks = try settings.decodeIfPresent([Int].self, forKey: .rank) else {
            self = .named(prefixes: try settings.decode(Parts.self, forKey: .prefix).names)
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
        try Parts(names: prefixes).encode(to: encoder)
    }

    /// Writes the selection as one of several settings.
    ///
    /// - Throws: ``DescentError`` with code `invalidDocument` for a closure.
    public func encodeMembers(to encoder: any Encoder) throws {
        var settings = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .named(let prefixes): try settings.encode(Parts(names: prefixes), forKey: .prefix)
        case .ending(let suffixes): try settings.encode(Parts(names: suffixes), forKey: .suffix)
        case .rank(let ranks): try settings.encode([ranks.lowerBound, ranks.upperBound], forKey: .rank)
        case .satisfying:
            throw DescentError(
                .invalidDocument,
                "parameters that a closure chooses cannot be written down; choose them by names or ranks")
        }
    }

    /// One beginning or end of names, or a list of such.
    private struct Parts: Codable {
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
