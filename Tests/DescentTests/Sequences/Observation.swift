import Descent

/// What a call did, as its caller sees it.
struct Observation {
    enum Kind: Equatable {
        case accumulated
        case applied
        /// Applied, and a parameter became one that is not finite.
        case diverged
        /// Skipped, with the name of the reason's code.
        case skipped(String)
        /// Nothing to tell, or nothing to do.
        case nothing
        /// Threw an error with a code.
        case threw(String)
    }

    var kind: Kind
    var progress: WindowProgress?
    var report: StepReport?
    private var outcome: StepOutcome?
    private var error: DescentError?
    /// Whether the stage that was told to do something wrong has done it.
    var hasFired = false

    init(_ body: () throws(DescentError) -> StepOutcome?) {
        do throws(DescentError) {
            let outcome = try body()
            self.outcome = outcome
            switch outcome {
            case nil: kind = .nothing
            case .accumulated(let progress):
                kind = .accumulated
                self.progress = progress
            case .applied(let report):
                kind = .applied
                self.report = report
            case .diverged(let divergence):
                kind = .diverged
                report = divergence.report
            case .skipped(let reason): kind = .skipped(reason.code.description)
            }
        } catch {
            kind = .threw(error.code.description)
            self.error = error
        }
    }

    /// All of it, for people, and to be compared with what another engine tells.
    var text: String { error.map { "threw \($0)" } ?? outcome.map { "\($0)" } ?? "nothing" }
    var skipCode: String? { if case .skipped(let code) = kind { code } else { nil } }
    var errorCode: String? { if case .threw(let code) = kind { code } else { nil } }
}
