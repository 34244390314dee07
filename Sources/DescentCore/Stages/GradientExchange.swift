/// A stage that combines gradients, or what is measured of them, with those of other processes.
///
/// Conformers say in ``exchanged`` what they combine, and implement the methods for that.
///
/// An exchange of gradients stands right behind an accumulation, or first. Once a window the engine calls ``begin(_:)``,
/// then ``contribute(_:of:)`` for every parameter, as soon as its gradient is complete and in any order, then
/// ``collect(into:)``; only then are gradients measured, and stages prepared. At last it calls ``settle(_:)``, before
/// anything is written that lasts, or ``abandon(_:)`` if something has thrown by then. All processes have to do so in the
/// same steps. What leaves the stage has to be the same in every process, so that all decide alike from there on. Where
/// gradients are received one by one, communication that ``contribute(_:of:)`` starts goes on while the backward pass
/// makes the others.
///
/// An exchange of rows is no stage of a chain but the ``PipelineConfiguration/sharding`` of a pipeline, of which each
/// process keeps state of some rows alone. It takes part in every micro-batch: what ``collect(into:)`` gives are the
/// combined gradients of this process's rows, which all else is made of. Whatever the engine measures of a parameter, it
/// combines over processes with ``gather(_:)``, in their order, before any stage sees it: norms are those of the whole
/// parameter, on every process. After an update ``gatherRows(of:)`` gives every process the rows of all.
public protocol GradientExchange: Stage {
    /// What is exchanged; where it is nothing, as with a single process, the engine leaves the stage out.
    ///
    /// Asked once the stage is configured; it must not change.
    var exchanged: ExchangedValues { get }

    /// This process, where each gathers a window of its own; by default nil, and where there is one process alone.
    ///
    /// A window that was saved open goes on in the process that gathered it, and in no other.
    var process: ProcessRank? { get }

    /// Checks the settings, once, when the pipeline is built; by default nothing.
    ///
    /// - Throws: ``DescentError`` for settings out of range.
    mutating func configure(for layout: ParameterLayout) throws(DescentError)

    /// Connects to the other processes, once, when the pipeline is built and all stages are configured.
    ///
    /// - Parameters:
    ///   - parameters: The positions of those that are exchanged, in ascending order; a stage may have frozen others.
    ///   - layout: The parameters.
    ///   - setup: What the pipeline consists of, for the processes to compare.
    /// - Throws: ``DescentError`` if the processes do not agree on what they train, or how.
    mutating func connect(
        _ parameters: [Int], of layout: ParameterLayout, as setup: PipelineSetup
    ) throws(DescentError)

    /// Connects to the other processes where rows are exchanged; by default as where they are not.
    ///
    /// - Parameters:
    ///   - parameters: The positions of those that are exchanged, in ascending order.
    ///   - division: Which process works on which rows: what ``division(of:keepingWhole:)`` has given.
    ///   - layout: The parameters.
    ///   - setup: What the pipeline consists of, for the processes to compare.
    /// - Throws: ``DescentError`` if the processes do not agree on what they train, or how.
    mutating func connect(
        _ parameters: [Int], dividedBy division: RowDivision?, of layout: ParameterLayout, as setup: PipelineSetup
    ) throws(DescentError)

    /// Begins the exchange of a window.
    ///
    /// - Throws: ``DescentError`` if there is no exchange to begin.
    mutating func begin(_ contribution: Contribution) throws(DescentError)

    /// Takes this process's gradient of one parameter, which may change once the call has returned.
    ///
    /// - Parameters:
    ///   - gradients: Tensors of which the one parameter's is read; of the type that the contribution told.
    ///   - parameter: The position of the parameter in the layout.
    /// - Throws: ``DescentError`` if the elements are stored in another way than the contribution told.
    mutating func contribute(_ gradients: some TensorStorage, of parameter: Int) throws(DescentError)

    /// Compares the parameters that a window's gradients are for with those of the other processes.
    ///
    /// Called before ``collect(into:)`` wherever the engine is given parameters. It is enough to compare the first ones:
    /// what starts alike stays alike. By default nothing is compared.
    ///
    /// - Parameter parameters: The parameters of the whole layout.
    /// - Throws: ``DescentError`` that names what differs, on every process.
    mutating func compare(_ parameters: some TensorStorage) throws(DescentError)

    /// Tells the other processes that this one cannot take part in the window that they are about to close.
    ///
    /// Called when a call that would have closed a window throws: because of its arguments, because a stage throws as it is
    /// prepared, or because the exchange itself has thrown, which is for it to know. The others throw in turn, instead of
    /// waiting. By default nobody is told.
    mutating func abandon(_ error: DescentError)

    /// Makes sure that all processes do the same with the window that they close, before any of them has changed anything.
    ///
    /// Called of exchanges of either kind, whether the step is taken or skipped, or a window stays open. Where it throws
    /// the engine is as it was before the step, which can be tried again; gradients that were received one by one it has
    /// forgotten. By default nothing is made sure of.
    ///
    /// - Parameter decision: What this process is about to do.
    /// - Throws: ``DescentError`` if another process has thrown, or is about to do something else.
    mutating func settle(_ decision: StepDecision) throws(DescentError)

    /// Waits for the combined gradients.
    ///
    /// - Parameter gradients: Receives them, in float32, where parameters are exchanged.
    /// - Returns: Why every process is to skip the step; nil if none has a reason to.
    /// - Throws: ``DescentError`` if the processes have lost step with each other.
    mutating func collect(into gradients: inout some TensorStorage) throws(DescentError) -> SkipReason?

    /// Whether, of the work on whole tensors, each process does a part for all; by default false.
    ///
    /// Asked once the stage is configured. Where it is true, ``computes(_:)`` says which part, and ``share(_:of:)`` gives the
    /// results to all.
    var dividesWholeTensors: Bool { get }

    /// Whether this process is the one that works on a parameter's whole tensor; by default true.
    func computes(_ parameter: Int) -> Bool

    /// Gives every process the tensors that one of them has worked on.
    ///
    /// Every process calls it equally often, with the same parameters.
    ///
    /// - Parameters:
    ///   - tensors: What has been made on this process of its part, and receives the rest.
    ///   - parameters: The positions of the parameters, in ascending order.
    /// - Throws: ``DescentError`` if the processes have lost step with each other.
    mutating func share(_ tensors: inout some TensorStorage, of parameters: [Int]) throws(DescentError)

    /// Which process works on which rows, where rows are exchanged; by default this one on all.
    ///
    /// Asked once, when the exchange is configured.
    ///
    /// - Parameters:
    ///   - layout: The parameters.
    ///   - isWhole: For each parameter, whether a stage needs all of its rows in one place; empty if none does.
    /// - Returns: The rows of every process.
    func division(of layout: ParameterLayout, keepingWhole isWhole: [Bool]) -> RowDivision

    /// The weight of the gradients that were last collected, over all processes; by default 1.
    var collectedWeight: Double { get }

    /// Gives the numbers of all processes, in an order that is the same on each.
    ///
    /// Every process calls it equally often, with as many numbers. In the middle of a step no error can be thrown: where
    /// processes cannot be reached the numbers are NaN, and the next call that can throws.
    func gather(_ values: [Double]) -> [[Double]]

    /// Throws what has gone wrong in ``gather(_:)``, where no error could be thrown; by default nothing.
    ///
    /// - Throws: ``DescentError``, once.
    func requireGathered() throws(DescentError)

    /// Gives every process all rows, of each of which one process has what is to be.
    ///
    /// - Parameter tensors: Tensors of the whole layout, of which this process's rows are sent and the others received.
    /// - Throws: ``DescentError`` if the processes have lost step with each other.
    mutating func gatherRows(of tensors: inout some TensorStorage) throws(DescentError)
}

/// What an exchange combines over processes.
public struct ExchangedValues: OptionSet, Sendable {
    public let rawValue: Int

    /// Values by their bits.
    public init(rawValue: Int) { self.rawValue = rawValue }

    /// Whole gradients, of which every process has its own.
    public static let gradients = ExchangedValues(rawValue: 1)
    /// Gradients, what is measured of them, and parameters, where each process works on some rows alone.
    public static let rows = ExchangedValues(rawValue: 2)
}

extension GradientExchange {
    public var element: ChainElement { .exchange(self) }
    public var process: ProcessRank? { nil }
    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {}
    public mutating func connect(
        _ parameters: [Int], of layout: ParameterLayout, as setup: PipelineSetup
    ) throws(DescentError) {}
    public mutating func connect(
        _ parameters: [Int], dividedBy division: RowDivision?, of layout: ParameterLayout, as setup: PipelineSetup
    ) throws(DescentError) {
        try connect(parameters, of: layout, as: setup)
    }
    public mutating func begin(_ contribution: Contribution) throws(DescentError) {}
    public mutating func contribute(_ gradients: some TensorStorage, of parameter: Int) throws(DescentError) {}
    public mutating func compare(_ parameters: some TensorStorage) throws(DescentError) {}
    public mutating func abandon(_ error: DescentError) {}
    public mutating func settle(_ decision: StepDecision) throws(DescentError) {}
    public mutating func collect(into gradients: inout some TensorStorage) throws(DescentError) -> SkipReason? { nil }
    public var dividesWholeTensors: Bool { false }
    public func computes(_ parameter: Int) -> Bool { true }
    public mutating func share(_ tensors: inout some TensorStorage, of parameters: [Int]) throws(DescentError) {}
    public func division(of layout: ParameterLayout, keepingWhole isWhole: [Bool]) -> RowDivision {
        RowDivision(of: layout, among: 1, rank: 0)
    }
    public var collectedWeight: Double { 1 }
    public func gather(_ values: [Double]) -> [[Double]] { [values] }
    public func requireGathered() throws(DescentError) {}
    public mutating func gatherRows(of tensors: inout some TensorStorage) throws(DescentError) {}
}

/// What a process is about to do with a window, when all that could prevent it is known.
public enum StepDecision: Sendable {
    /// It updates parameters.
    ///
    /// The digest is that of loss scale, applied steps, learning rates, decays and factors, which are to be the same
    /// everywhere.
    case update(digest: UInt64)
    /// It skips the step.
    case skip(SkipReason)
    /// It adds to a window that stays open; told of by an exchange of rows alone.
    case accumulate
}

/// What one process says of the gradients that it puts into an exchange.
public struct Contribution: Sendable {
    /// What its gradients are to be multiplied by, to be the mean, the sum or whatever else the window is.
    public let factor: Float
    /// The weight of its window, such as a number of tokens.
    public let weight: Double
    /// How its gradients are stored.
    public let elementType: ElementType
    /// Why the step is to be skipped, as far as this process knows; nil if there is no reason.
    public let skipReason: SkipReason?

    /// Describes a contribution.
    public init(factor: Float, weight: Double, elementType: ElementType, skipReason: SkipReason?) {
        self.factor = factor
        self.weight = weight
        self.elementType = elementType
        self.skipReason = skipReason
    }
}
