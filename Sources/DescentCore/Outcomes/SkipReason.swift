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
    /// Where micro-batches are summed, their sum is checked after each, and ``WindowProgress/rejection`` names the parameter
    /// at once. With `Accumulate(nonFinite: .dropMicroBatch)` each is checked before it becomes part of the sum.
    public let parameter: String?
    /// The stage that decided against the step, where there is one.
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
