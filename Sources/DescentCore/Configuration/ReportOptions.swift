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
    private enum Name: String, Codable, CaseIterable {
        case layerNorms, updateRatio

        var option: ReportOptions {
            switch self {
            case .layerNorms: .layerNorms
            case .updateRatio: .updateRatio
            }
        }
    }

    /// Reads a list of names.
    public init(from decoder: any Decoder) throws {
        self.init(try [Name](from: decoder).map(\.option))
    }

    /// Writes a list of names.
    public func encode(to encoder: any Encoder) throws {
        try Name.allCases.filter { contains($0.option) }.encode(to: encoder)
    }
}
