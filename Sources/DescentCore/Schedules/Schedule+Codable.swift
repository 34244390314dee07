/// A constant is written as a number, others under their names: `{"cosine": {"initial": 0.1, "decaySteps": 100}}`.
extension Schedule: Codable {
    /// The name of a rule.
    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { return nil }
    }

    private struct Constant: Codable { let value: Double }

    /// Reads a schedule: a number, or one of Descent's rules or of those that the decoder's user information lists under
    /// `scheduleRules`.
    public init(from decoder: any Decoder) throws {
        // Whoever expects a number is told so, and not that an object was expected.
        guard let rules = try? decoder.container(keyedBy: Name.self) else {
            self = .constant(try decoder.singleValueContainer().decode(Double.self))
            return
        }
        guard let name = rules.allKeys.first, rules.allKeys.count == 1 else {
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: decoder.codingPath,
                    debugDescription: "expected a number, or one schedule under its name,"))
        }
        if name.stringValue == "constant" {
            self = .constant(try rules.decode(Constant.self, forKey: name).value)
            return
        }
        let known = Self.rules.merging(decoder.userInfo.scheduleRules) { _, other in other }
        guard let type = known[name.stringValue] else {
            let names = known.keys.sorted()
            let hint = name.stringValue.nearest(among: names).map { "did you mean \"\($0)\"?" }
            let error = DescentError(
                .unknownSetting,
                "unknown schedule \(name.stringValue.quotedBriefly); "
                    + (hint ?? "known are \(names.joined(separator: ", ")). Others have to be added to the catalog."))
            // The decoder adds the place.
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: error.message, underlyingError: error))
        }
        func schedule<Rule: ScheduleRule>(_ type: Rule.Type) throws -> Schedule {
            Schedule(try rules.decode(Rule.self, forKey: name))
        }
        self = try schedule(type)
    }

    /// Writes the schedule.
    ///
    /// - Throws: ``DescentError`` with code `invalidDocument` for one made with a closure.
    public func encode(to encoder: any Encoder) throws {
        switch kind {
        case .constant(let value):
            var container = encoder.singleValueContainer()
            // What was a float32 is written with no more digits than it had.
            if Double(Float(value)) == value { try container.encode(Float(value)) } else { try container.encode(value) }
        case .rule(let rule):
            var form = encoder.container(keyedBy: Name.self)
            try form.encode(rule, forKey: Name(stringValue: type(of: rule).typeName))
        case .closure(let name, _):
            throw DescentError(
                .invalidDocument, "the schedule \(name.quotedBriefly) is a closure and cannot be written down")
        }
    }

    /// Descent's own rules, by their names in documents.
    private static let rules: [String: any ScheduleRule.Type] = Dictionary(
        uniqueKeysWithValues: [
            LinearSchedule.self, PolynomialSchedule.self, CosineSchedule.self, WarmRestartsSchedule.self,
            WarmupCosineSchedule.self, ExponentialSchedule.self, InverseSquareRootSchedule.self,
            PiecewiseConstantSchedule.self, StepDecaySchedule.self, CosineOneCycleSchedule.self,
            LinearOneCycleSchedule.self, JoinedSchedule.self, WarmedUpSchedule.self, PlateauSchedule.self,
        ].map { (rule: any ScheduleRule.Type) in (rule.typeName, rule) })
}

extension CodingUserInfoKey {
    /// Under which decoders hold the rules that a document may name besides Descent's: `[String: any ScheduleRule.Type]`.
    public static var scheduleRules: CodingUserInfoKey? { CodingUserInfoKey(rawValue: "descent.scheduleRules") }
}

extension [CodingUserInfoKey: Any] {
    /// The rules that a document may name besides Descent's.
    fileprivate var scheduleRules: [String: any ScheduleRule.Type] {
        CodingUserInfoKey.scheduleRules.flatMap { self[$0] as? [String: any ScheduleRule.Type] } ?? [:]
    }
}
