/// Which parameters something concerns.
public enum ParameterSelection: Sendable {
    /// Those whose names begin so.
    case named(prefix: String)
    /// Those whose rank lies in a range.
    case rank(ClosedRange<Int>)
    /// Those for which a closure says so; it cannot be written down in a document.
    case satisfying(@Sendable (ParameterDescription) -> Bool)

    /// Whether a parameter is among them.
    public func contains(_ parameter: ParameterDescription) -> Bool {
        switch self {
        case .named(let prefix): parameter.name.hasPrefix(prefix)
        case .rank(let ranks): ranks.contains(parameter.rank)
        case .satisfying(let condition): condition(parameter)
        }
    }

    /// Refuses a selection that holds no parameter of a layout.
    ///
    /// - Throws: ``DescentError`` with code `invalidSetting` that names the first parameters that there are.
    package func requireMatch(in layout: ParameterLayout, of stage: String) throws(DescentError) {
        let names = layout.prefix(8).map { $0.name.cut(to: 80) }.joined(separator: ", ")
        try DescentError.require(
            layout.isEmpty || layout.contains(where: contains), stage, "no parameter is chosen; there are \(names).")
    }

    /// How the names of the parameters begin, if that is what tells them.
    public var prefix: String? { if case .named(let prefix) = self { prefix } else { nil } }
}
