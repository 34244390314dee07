/// A constant is written as a number, others under their names: `{"warmupCosine": {"peak": 0.01, ...}}`.
extension Schedule: Codable {
    private enum Form: String, CodingKey { case warmupCosine, exponential }
    private enum Setting: String, CodingKey { case initial, peak, end, warmup, total, rate, transitionSteps }

    /// Reads a schedule; `initial` and `end` of a warm-up may be left out.
    public init(from decoder: any Decoder) throws {
        if let value = try? decoder.singleValueContainer().decode(Double.self) {
            self = .constant(value)
            return
        }
        let form = try decoder.container(keyedBy: Form.self)
        if form.contains(.exponential) {
            let settings = try form.nestedContainer(keyedBy: Setting.self, forKey: .exponential)
            self = .exponential(
                initial: try settings.decode(Double.self, forKey: .initial),
                rate: try settings.decode(Double.self, forKey: .rate),
                transitionSteps: try settings.decode(Int.self, forKey: .transitionSteps))
        } else {
            let settings = try form.nestedContainer(keyedBy: Setting.self, forKey: .warmupCosine)
            self = .warmupCosine(
                peak: try settings.decode(Double.self, forKey: .peak),
                warmup: try settings.decode(Int.self, forKey: .warmup),
                total: try settings.decode(Int.self, forKey: .total),
                initial: try settings.decodeIfPresent(Double.self, forKey: .initial) ?? 0,
                end: try settings.decodeIfPresent(Double.self, forKey: .end) ?? 0)
        }
    }

    /// Writes the schedule.
    ///
    /// - Throws: ``DescentError`` with code `invalidDocument` for a custom one, which is a closure.
    public func encode(to encoder: any Encoder) throws {
        switch kind {
        case .constant(let value):
            var container = encoder.singleValueContainer()
            try container.encode(value)
        case .warmupCosine(let initial, let peak, let end, let warmup, let total):
            var form = encoder.container(keyedBy: Form.self)
            var settings = form.nestedContainer(keyedBy: Setting.self, forKey: .warmupCosine)
            try settings.encode(peak, forKey: .peak)
            try settings.encode(warmup, forKey: .warmup)
            try settings.encode(total, forKey: .total)
            try settings.encode(initial, forKey: .initial)
            try settings.encode(end, forKey: .end)
        case .exponential(let initial, let rate, let transitionSteps):
            var form = encoder.container(keyedBy: Form.self)
            var settings = form.nestedContainer(keyedBy: Setting.self, forKey: .exponential)
            try settings.encode(initial, forKey: .initial)
            try settings.encode(rate, forKey: .rate)
            try settings.encode(transitionSteps, forKey: .transitionSteps)
        case .custom(let name, _):
            throw DescentError(
                .invalidDocument, "the schedule \(name.quotedBriefly) is a closure and cannot be written down")
        }
    }
}
