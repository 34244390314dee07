/// Written as what tells its parameters and what it gives them: `{"prefix": "head.", "learningRate": 0.1}`,
/// `{"rank": [0, 1], "weightDecay": 0}`, `{"prefix": "head.", "beta2": 0.95}`.
extension ParameterGroup: Codable {
    private enum Setting: String, CodingKey { case prefix, rank, learningRate, weightDecay }

    /// Reads a group by prefix or by ranks, from the first to the last.
    public init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: Setting.self)
        let learningRate = try settings.decodeIfPresent(Schedule.self, forKey: .learningRate)
        let weightDecay = try settings.decodeIfPresent(Float.self, forKey: .weightDecay)
        let others = try GroupSettings(from: decoder)
        guard let ranks = try settings.decodeIfPresent([Int].self, forKey: .rank) else {
            self = .named(
                prefix: try settings.decode(String.self, forKey: .prefix), learningRate: learningRate,
                weightDecay: weightDecay
            ).setting(others)
            return
        }
        guard ranks.count == 2, ranks[0] <= ranks[1] else {
            throw DecodingError.dataCorruptedError(
                forKey: .rank, in: settings, debugDescription: "expected the first and the last rank, found \(ranks)")
        }
        self = .rank(ranks[0]...ranks[1], learningRate: learningRate, weightDecay: weightDecay).setting(others)
    }

    /// Writes the group.
    ///
    /// - Throws: ``DescentError`` with code `invalidDocument` for one made with a closure.
    public func encode(to encoder: any Encoder) throws {
        var settings = encoder.container(keyedBy: Setting.self)
        switch selection {
        case .named(let prefix): try settings.encode(prefix, forKey: .prefix)
        case .rank(let ranks): try settings.encode([ranks.lowerBound, ranks.upperBound], forKey: .rank)
        case .satisfying:
            throw DescentError(
                .invalidDocument, "the group \"\(label)\" is made with a closure and cannot be written down")
        }
        try settings.encodeIfPresent(learningRate, forKey: .learningRate)
        try settings.encodeIfPresent(weightDecay, forKey: .weightDecay)
        try self.settings.encode(to: encoder)
    }
}
