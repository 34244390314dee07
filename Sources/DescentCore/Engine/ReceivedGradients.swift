/// A micro-batch whose gradients arrive one by one.
struct ReceivedGradients: Sendable {
    /// For each parameter, whether its gradient has arrived.
    var isReceived: [Bool]
    var mode: Mode

    /// How its gradients are taken in, which is known from the first one on.
    struct Mode {
        let weight: Double
        /// Whether gradients become part of the window as they arrive, instead of waiting for the last one.
        let isDirect: Bool
        /// Whether the first measuring sweep runs as they arrive.
        var isMeasured: Bool
        /// Whether other processes are given the window as it arrives.
        let isContributed: Bool
        /// How gradients are kept until the step; nil where other processes keep them.
        ///
        /// A sum that others are part of is written to another slot, so that the micro-batch can still be abandoned.
        let addition: WindowAddition?
        /// The window before this micro-batch.
        let windowBefore: AccumulationWindow?
        /// Why the step will be skipped, where a stage said so beforehand.
        let veto: SkipReason?
    }

    /// Refuses a gradient that has another weight than those before it, or has arrived already.
    func requireNew(_ parameter: ParameterDescription, at position: Int, weight: Double) throws(DescentError) {
        guard mode.weight == weight else {
            throw DescentError(
                .invalidWeight, parameter: parameter.name,
                "\"\(parameter.name)\" arrives with weight \(weight), the gradients before it with \(mode.weight).")
        }
        guard !isReceived[position] else {
            throw DescentError(
                .duplicateParameter, parameter: parameter.name,
                "The gradient of \"\(parameter.name)\" has already been received for this micro-batch.")
        }
    }
}
