/// How a step ended.
public enum StepOutcome: Sendable {
    /// The micro-batch became part of a window that is still open; nothing else has changed.
    case accumulated(WindowProgress)
    /// The parameters were updated (or, by a chain alone, the gradients transformed).
    case applied(StepReport)
    /// Nothing was updated: parameters, optimizer state and schedules are bit for bit what they were.
    case skipped(SkipReason)
    /// The update was carried out, and made a parameter NaN or infinite that was not so before.
    ///
    /// The gradients were finite: the update's own arithmetic left the range of Float, or that of a stage behind the last
    /// norm. The step counts as taken; go back to a checkpoint. (By a chain alone: the transformed gradients are not
    /// finite.) A pipeline that propagates what is not finite does not look.
    case diverged(Divergence)

    /// Whether the parameters were updated, to numbers that are finite.
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

/// What an update was like that made a parameter NaN or infinite.
public struct Divergence: Sendable, CustomStringConvertible {
    /// The first parameter that is no longer finite, in the order of the layout.
    public let parameter: String
    /// What the step was like.
    public let report: StepReport

    init(_ parameter: String, _ report: StepReport) {
        self.parameter = parameter
        self.report = report
    }

    /// A sentence that says what happened.
    public var description: String {
        "step \(report.appliedSteps) made \"\(parameter)\" NaN or infinite, from gradients that were finite; go back to a "
            + "checkpoint and lower the learning rate"
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
    /// Why the last micro-batch is not part of the sum, or has spoiled it; nil if all is well.
    public let rejection: SkipReason?
}

/// Why a step was skipped.
public struct SkipReason: Sendable, Hashable, Codable, CustomStringConvertible {
    /// The kind of a reason; more may be added in later versions.
    public struct Code: Sendable, Hashable, Codable, CustomStringConvertible {
        let name: String
        /// The name of the code: "nonFinite".
        public var description: String { name }

        /// A gradient held a NaN or an infinity.
        public static let nonFinite = Code(name: "nonFinite")
        /// A stage decided against the step.
        public static let vetoed = Code(name: "vetoed")
        /// Every micro-batch of the window had been left out.
        public static let emptyWindow = Code(name: "emptyWindow")
        /// A learning rate, a decay or a stage's factor was NaN or infinite, which is not the gradients' fault.
        public static let nonFiniteSetting = Code(name: "nonFiniteSetting")
        /// Gradients arrived finite and left the range of Float in the chain, which is not the loss scale's fault.
        public static let overflow = Code(name: "overflow")
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
    /// Which micro-batch of the window it was, counted from 1, where that is known.
    public let microBatch: Int?
    /// A sentence that says what was wrong.
    public let description: String

    /// Describes a reason.
    public init(
        _ code: Code, parameter: String? = nil, stage: String? = nil, microBatch: Int? = nil, _ description: String
    ) {
        self.code = code
        self.parameter = parameter
        self.stage = stage
        self.microBatch = microBatch
        self.description = description
    }
}

/// What a stage is told at the end of a step.
public struct StepConclusion {
    /// Why the step was skipped; nil if it was applied.
    public let skipReason: SkipReason?
    /// Why gradients of the window were not finite, or those of a micro-batch that was left out of it; nil if all were.
    ///
    /// A loss scale backs off for it, whether the rest of the window was applied or not.
    public let nonFiniteReason: SkipReason?
    /// The parameter that the update made NaN or infinite; nil if none.
    public let divergedParameter: String?
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
