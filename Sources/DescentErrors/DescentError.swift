/// What went wrong, which stage or parameter it concerns, and what to do about it.
///
/// Descent throws for misuse and for bad input, before anything has changed; only `lossScaleExhausted`, `tooManySkips`
/// and what a stage throws in `finish` come after a step, which is not to be repeated. A non-finite gradient is not an
/// error but an outcome, a `StepOutcome`.
public struct DescentError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of an error; more may be added in later versions, so switch with a default.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The name of the code, as in `DescentError.Code.shapeMismatch`.
        public let description: String

        /// Makes a code of one's own, for errors that a stage from another package throws.
        public init(_ description: String) { self.description = description }

        /// A parameter has no name.
        public static let invalidName = Code("invalidName")
        /// A shape has a negative extent or overflows.
        public static let invalidShape = Code("invalidShape")
        /// Two tensors of one set share a name.
        public static let duplicateParameter = Code("duplicateParameter")
        /// A tensor that the pipeline was built for was not handed over.
        public static let missingParameter = Code("missingParameter")
        /// A tensor was handed over that the pipeline was not built for.
        public static let unexpectedParameter = Code("unexpectedParameter")
        /// A tensor has another shape or number of elements than it should.
        public static let shapeMismatch = Code("shapeMismatch")
        /// A tensor's elements are stored in another way than they should be.
        public static let elementTypeMismatch = Code("elementTypeMismatch")
        /// The tensors are the right ones in another order.
        public static let orderMismatch = Code("orderMismatch")
        /// Two tensors that have to be apart share memory.
        public static let sharedMemory = Code("sharedMemory")
        /// Strides that leave a tensor's memory, or with which elements share it where it is to be written.
        public static let invalidStrides = Code("invalidStrides")
        /// A stage's, schedule's or optimizer's setting is out of range.
        public static let invalidSetting = Code("invalidSetting")
        /// Two stages stand in an order that computes something else than it seems to.
        public static let stageOrder = Code("stageOrder")
        /// The loss scale fell to its minimum and gradients still overflow.
        public static let lossScaleExhausted = Code("lossScaleExhausted")
        /// More steps in a row were skipped than the pipeline was told to put up with.
        public static let tooManySkips = Code("tooManySkips")
        /// Gradients were made with another loss scale than the pipeline's.
        public static let lossScaleMismatch = Code("lossScaleMismatch")
        /// A state was saved by another chain, or is not what a stage remembers.
        public static let stateMismatch = Code("stateMismatch")
        /// A file was written in a version of its format that cannot be read.
        public static let unsupportedVersion = Code("unsupportedVersion")
        /// A micro-batch whose gradients arrive one by one is not complete.
        public static let incompleteMicroBatch = Code("incompleteMicroBatch")
        /// A window is open that has to be closed first.
        public static let openWindow = Code("openWindow")
        /// A micro-batch's weight is negative or not finite, or float32 cannot hold it and a stage multiplies by it.
        public static let invalidWeight = Code("invalidWeight")
        /// A text is not JSON.
        public static let invalidJSON = Code("invalidJSON")
        /// JSON does not describe what it should, or a value cannot be written as JSON.
        public static let invalidDocument = Code("invalidDocument")
        /// A document has a setting that nothing knows.
        public static let unknownSetting = Code("unknownSetting")
        /// A file does not hold what it should: it is damaged, or of another kind.
        public static let invalidFile = Code("invalidFile")
        /// A file cannot be read or written.
        public static let fileAccess = Code("fileAccess")
    }

    /// The kind of the error.
    public let code: Code
    /// The parameter concerned, where there is one.
    public let parameter: String?
    /// The stage or optimizer concerned, where there is one.
    public let stage: String?
    /// A sentence that says what is wrong and what to do, of at most 4,000 characters.
    public let message: String

    /// Makes an error.
    public init(_ code: Code, parameter: String? = nil, stage: String? = nil, _ message: String) {
        self.code = code
        self.parameter = parameter
        self.stage = stage
        self.message = message.cut(to: 4_000)
    }

    /// The message with its code in front.
    public var description: String { "\(code): \(message)" }

    /// Refuses a setting that is not a finite number above zero.
    ///
    /// - Throws: ``DescentError`` with code `invalidSetting`, naming the stage, the setting and the value.
    public static func requirePositive(
        _ value: some BinaryFloatingPoint, _ setting: String, of stage: String
    ) throws(DescentError) {
        try require(value.isFinite && value > 0, stage, "\(setting) is \(value); it has to be a finite number above 0.")
    }

    /// Refuses a setting for which a condition does not hold.
    ///
    /// - Throws: ``DescentError`` with code `invalidSetting` and the message, prefixed with the stage.
    public static func require(
        _ condition: Bool, _ stage: String, _ message: @autoclosure () -> String
    ) throws(DescentError) {
        guard condition else { throw DescentError(.invalidSetting, stage: stage, "\(stage): \(message())") }
    }
}
