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
    ///
    /// Before the first update parameters are looked at, too. Later on they are known from the update before; what somebody
    /// else has made NaN or infinite since counts as the update's doing, and the divergence says so.
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

extension StepOutcome: CustomStringConvertible {
    /// One line for a log: "applied step 12: gradient norm 3.2, clipped, learning rate 0.001".
    public var description: String {
        switch self {
        case .accumulated(let progress):
            let included = progress.included == progress.received ? "" : ", \(progress.included) included"
            let rejection = progress.rejection.map { ": \($0)" } ?? ""
            return "accumulated \(progress.received) of \(progress.length)\(included)\(rejection)"
        case .applied(let report): return "applied \(report)"
        case .skipped(let reason): return "skipped: \(reason)"
        case .diverged(let divergence): return "diverged: \(divergence)"
        }
    }

    /// Everything that the outcome holds, to tell apart two of which a line would say the same.
    package var details: String {
        switch self {
        case .accumulated(let progress): "accumulated: \(progress)"
        case .applied(let report): "applied: \(report.details)"
        case .skipped(let reason): "skipped: \(reason)"
        case .diverged(let divergence): "diverged: \(divergence.parameter), \(divergence.report.details)"
        }
    }
}

/// What an update was like that made a parameter NaN or infinite.
public struct Divergence: Sendable, CustomStringConvertible {
    /// The first parameter that is no longer finite, in the order of the layout.
    public let parameter: String
    /// What the step was like.
    public let report: StepReport
    /// A sentence that says what happened, and what else it may be if the parameters were not looked at before the update.
    public let description: String

    init(_ parameter: String, _ report: StepReport, _ description: String) {
        self.parameter = parameter
        self.report = report
        self.description = description
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
