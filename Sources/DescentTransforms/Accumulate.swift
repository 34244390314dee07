public import DescentCore

/// Accumulates the gradients of several micro-batches into one step.
///
/// Micro-batches are added in float32; the first one overwrites what the last window left, so that nothing is ever
/// zeroed. What stands before this stage works on each micro-batch, what stands behind it on the window.
///
/// When the window closes, after `steps` micro-batches or early by a flush, its sum is divided by what was seen:
///
///     mean:      sum of g_i            / number of micro-batches seen
///     sum:       sum of g_i
///     weighted:  sum of weight_i * g_i / sum of weights
///
/// With token counts as weights, `weighted` gives the gradient of the mean over all tokens of the window, however
/// unevenly they are spread over micro-batches. Gradients are multiplied by weights in float32: one above 0 has to lie
/// between 1.2e-38 and 3.4e38.
public struct Accumulate: Stage {
    /// What a window's sum is divided by.
    public typealias Reduction = AccumulationWindow.Reduction

    /// What a micro-batch with NaN or infinities does to its window.
    public enum NonFinite: String, Sendable, Hashable, Codable, CaseIterable {
        /// It spoils the window, which is skipped when it closes; the outcome of the micro-batch says so.
        case skipWindow
        /// It is left out, and the window is made of the others; costs a sweep that reads each micro-batch.
        case dropMicroBatch

        /// Reads its name, also as documents of old spell it.
        public init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            let name = try container.decode(String.self)
            guard let known = Self(rawValue: name == "dropMicrobatch" ? "dropMicroBatch" : name) else {
                throw DecodingError.dataCorruptedError(
                    in: container, debugDescription: "expected skipWindow or dropMicroBatch")
            }
            self = known
        }
    }

    /// After how many micro-batches a window closes.
    public var steps: Int
    /// What its sum is divided by.
    public var reduction: Reduction
    /// What happens to micro-batches that are not finite.
    public var nonFinite: NonFinite

    /// Accumulates micro-batches.
    ///
    /// - Parameters:
    ///   - steps: After how many micro-batches a window closes, at least 1.
    ///   - reduction: What its sum is divided by.
    ///   - nonFinite: What happens to micro-batches that are not finite.
    public init(steps: Int, reduction: Reduction = .mean, nonFinite: NonFinite = .skipWindow) {
        self.steps = steps
        self.reduction = reduction
        self.nonFinite = nonFinite
    }

    public var name: String { "Accumulate(steps: \(steps), \(reduction))" }
    public var order: StageOrder { StageOrder(expects: [.microBatch], leaves: [.window]) }
    public var element: ChainElement {
        .window(.init(length: steps, reduction: reduction, dropsNonFinite: nonFinite == .dropMicroBatch))
    }
}

extension Accumulate: DescribedStage {
    private enum CodingKeys: CodingKey { case steps, reduction, nonFinite }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self(steps: 1))
        try self.init(
            steps: settings.value(.steps), reduction: settings.value(.reduction, or: usual.reduction),
            nonFinite: settings.value(.nonFinite, or: usual.nonFinite))
    }
}
