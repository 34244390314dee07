/// How a step ended.
public enum StepOutcome: Sendable {
    /// The micro-batch became part of a window that is still open; nothing else has changed.
    case accumulated(WindowProgress)
    /// The parameters were updated (or, by a chain alone, the gradients transformed).
    case applied(StepReport)
    /// Nothing was updated: parameters, optimizer state and schedules are bit for bit what they were.
    case skipped(SkipReason)

    /// Whether the parameters were updated.
    public var isApplied: Bool { report != nil }

    /// What the step was like, if it was applied.
    public var report: StepReport? {
        if case .applied(let report) = self { report } else { nil }
    }

    /// Why the step was skipped, if it was.
    public var skipReason: SkipReason? {
        if case .skipped(let reason) = self { reason } else { nil }
    }
}

/// How far an accumulation window has come.
public struct WindowProgress: Sendable, Hashable {
    /// How many micro-batches the window has been given.
    public let received: Int
    /// How many of them are part of its sum.
    public let included: Int
    /// After how many it closes.
    public let length: Int
    /// Why the last micro-batch is not part of the sum, where it is not.
    public let rejection: SkipReason?
}

/// Why a step was skipped.
public struct SkipReason: Sendable, Hashable, Codable, CustomStringConvertible {
    /// The kind of a reason; more may be added in later versions.
    public struct Code: Sendable, Hashable, Codable {
        let name: String
        /// A gradient held a NaN or an infinity.
        public static let nonFinite = Code(name: "nonFinite")
        /// A stage decided against the step.
        public static let vetoed = Code(name: "vetoed")
        /// Every micro-batch of the window had been left out.
        public static let emptyWindow = Code(name: "emptyWindow")
    }

    /// The kind of the reason.
    public let code: Code
    /// The parameter concerned, where there is one: if several are bad, the first of them in the order of the layout.
    ///
    /// Where micro-batches are summed as they come, only their sum is looked at, when the window closes: no reason says in
    /// which of them the number was. With `Accumulate(nonFinite: .dropMicrobatch)` each is checked as it arrives, and
    /// ``WindowProgress/rejection`` names the parameter at once.
    public let parameter: String?
    /// The stage that objected, where there is one.
    public let stage: String?
    /// A sentence that says what was wrong.
    public let description: String

    /// Describes a reason.
    public init(_ code: Code, parameter: String? = nil, stage: String? = nil, _ description: String) {
        self.code = code
        self.parameter = parameter
        self.stage = stage
        self.description = description
    }
}

/// What a stage is told at the end of a step.
public struct StepConclusion {
    /// Why the step was skipped; nil if it was applied.
    public let skipReason: SkipReason?
    /// What the stage required or observed of the gradient that reached it.
    ///
    /// In a skipped step it may hold numbers that are not finite.
    public package(set) var incoming: GradientStatistics

    /// Whether the step was applied.
    public var isApplied: Bool { skipReason == nil }
}

/// What a pipeline does about a gradient that is not finite.
public enum NonFinitePolicy: Sendable, Hashable {
    /// The step is skipped and changes nothing; the outcome names the parameter.
    ///
    /// Where the chain measures no norm anyway, this costs one sweep that reads the gradients.
    case skip
    /// The same, but so many skipped steps in a row throw: a model that never recovers is not trained in silence.
    case skipAtMost(Int)
    /// The step is applied, NaN and infinities included, unless a stage objects.
    case propagate

    var skips: Bool { self != .propagate }
}
