/// The window that an engine gathers micro-batches in: how windows are made, the open one, and where its sum is.
struct Accumulation: Sendable {
    /// The stage's name.
    let name: String
    let settings: AccumulationWindow.Settings
    /// The slot of the sum.
    let slot: Int
    /// The micro-batches of the open window.
    var window = AccumulationWindow()
    /// What gradients were multiplied by that arrive now, and the stages behind the window undo.
    var lossScale: Float = 1
    /// Whether the sum holds the micro-batch that closes the window.
    var sumIsWritten = false
    /// Whether the sum is kept elsewhere, because that of all processes is in its place.
    var isSumSetAside = false

    /// Whether the window has been given as many micro-batches as it takes.
    var isFull: Bool { window.isFull(settings) }

    /// What the window's sum is multiplied by.
    var closingFactor: Double { window.closingFactor(settings.reduction) * Double(lossScale / scaleOfSum) }

    /// How the micro-batch last admitted is added to the sum.
    var addition: WindowAddition {
        WindowAddition(
            sum: window.included == 1 ? nil : slot, destination: slot,
            factor: window.factor(settings.reduction) * (scaleOfSum / lossScale))
    }

    /// What the gradients of the sum were multiplied by, which a scale that has changed since is not.
    private var scaleOfSum: Float { window.lossScale ?? lossScale }

    /// Takes in a micro-batch of a weight.
    mutating func admit(weight: Double) {
        window.admit(weight: weight)
        window.noteSum(settings.reduction, lossScale: lossScale)
    }

    /// How far the window has come.
    func progress(_ rejection: SkipReason?) -> WindowProgress {
        WindowProgress(
            received: window.received, included: window.included, length: settings.length, rejection: rejection)
    }

    /// The micro-batch last admitted, in words: "micro-batch 2 of 4".
    var microBatchName: String { "micro-batch \(window.received) of \(settings.length)" }

    /// Why the window cannot become a step, where it cannot.
    var reasonNotToClose: SkipReason? {
        if let rejection = window.rejection, !settings.dropsNonFinite { return rejection }
        guard window.included == 0 || !closingFactor.isFinite else { return nil }
        return SkipReason(
            .emptyWindow, parameter: window.rejection?.parameter, stage: name, microBatch: window.rejection?.microBatch,
            "no micro-batch of the window counts: each was left out or weighs 0"
                + (window.rejection.map { "; the first because \($0)" } ?? ""))
    }

    /// Notes that the sum is not finite, where a micro-batch enters that makes it so.
    ///
    /// - Parameter parameter: The name of the first one whose sum is not finite; nil if all are finite.
    /// - Returns: Why the window will be skipped; nil if there is no reason.
    mutating func noteSpoiledSum(of parameter: String?) -> SkipReason? {
        if !settings.dropsNonFinite, let spoiled = window.rejection { return spoiled }
        guard let parameter else { return nil }
        let reason = SkipReason(
            .nonFinite, parameter: parameter, microBatch: window.received,
            "the gradient of \"\(parameter)\" in \(microBatchName), or its sum over the window, holds NaN or infinities"
        )
        window.note(reason)
        return reason
    }
}
