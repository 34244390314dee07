/// A stage that combines whole gradients with those of other processes, before the stages behind it see them.
///
/// It stands right behind an accumulation, or first. Once a window the engine calls ``begin(_:)``, then
/// ``contribute(_:of:)`` for every parameter, as soon as its gradient is complete and in any order, then
/// ``collect(into:)``; only then are gradients measured. All processes have to do so in the same steps. What leaves the
/// stage has to be the same in every process, so that all decide alike from there on.
///
/// Where gradients are received one by one, communication that ``contribute(_:of:)`` starts goes on while the backward
/// pass makes the others.
public protocol Exchanging: GradientTransform {
    /// Whether there is another process; where there is none, the engine leaves the stage out.
    ///
    /// Asked once the stage is configured; it must not change.
    var isActive: Bool { get }

    /// Makes contact, once, when the pipeline is built and all stages are configured.
    ///
    /// - Parameters:
    ///   - parameters: The positions of those that are exchanged, in ascending order; a stage may have taken out others.
    ///   - layout: The parameters.
    ///   - setup: What the pipeline consists of, for the processes to compare.
    /// - Throws: ``DescentError`` if the processes do not agree on what they train, or how.
    mutating func connect(
        _ parameters: [Int], of layout: ParameterLayout, as setup: PipelineSetup
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
    /// Called when a call that would have closed a window throws because of its arguments. The others throw in turn,
    /// instead of waiting. By default nobody is told.
    mutating func abandon(_ error: DescentError)

    /// Waits for the combined gradients.
    ///
    /// - Parameter gradients: Receives them, in float32, where parameters are exchanged.
    /// - Returns: Why every process is to skip the step; nil if none objects.
    /// - Throws: ``DescentError`` if the processes have lost step with each other.
    mutating func collect(into gradients: inout some TensorStorage) throws(DescentError) -> SkipReason?
}

extension Exchanging {
    public mutating func compare(_ parameters: some TensorStorage) throws(DescentError) {}
    public mutating func abandon(_ error: DescentError) {}
}

/// What one process has to say of the gradients that it puts into an exchange.
public struct Contribution: Sendable {
    /// What its gradients are to be multiplied by, to be the mean, the sum or whatever else the window is.
    public let factor: Float
    /// The weight of its window, such as a number of tokens.
    public let weight: Double
    /// How its gradients are stored.
    public let elementType: ElementType
    /// Why the step is to be skipped, as far as this process knows; nil if nothing speaks against it.
    public let objection: SkipReason?

    /// Describes a contribution.
    public init(factor: Float, weight: Double, elementType: ElementType, objection: SkipReason?) {
        self.factor = factor
        self.weight = weight
        self.elementType = elementType
        self.objection = objection
    }
}
