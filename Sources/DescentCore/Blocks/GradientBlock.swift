/// A run of whole rows of one parameter's gradient, small enough to stay in cache while every stage works on it.
///
/// A stage is written against this protocol and never sees a whole tensor, a thread or a backend. The operations
/// named here may be *lazy*: scaling and centering change two numbers that the next operation which reads the
/// elements takes into account. `withElements(_:)` always shows true, current values.
///
/// A backend implements ``beginAccess()``, ``endAccess(_:)`` and the geometry. Everything else has a plain default made of
/// that, which is also what faster implementations are tested against.
public protocol GradientBlock {
    /// The position of the block's parameter in the layout that the pipeline was built for.
    var parameterIndex: Int { get }
    /// The first of the block's rows, counted within its parameter.
    var firstRow: Int { get }
    /// The rank of the block's parameter.
    var rank: Int { get }
    /// The number of rows in this block.
    var rowCount: Int { get }
    /// The number of elements of a row.
    var columnCount: Int { get }
    /// Which of the pipeline's slots belong to the stage at work; set by the engine, not by stages.
    var slotAccess: SlotAccess { get set }

    /// Gives access to the memory of the block, with everything that was pending carried out.
    ///
    /// With ``endAccess(_:)`` this is the one access that a backend has to provide; stages use the safe ones made of it.
    /// It comes in two halves, and not as one call of a closure, so that the loop over elements between them becomes
    /// part of the stage that wrote it.
    mutating func beginAccess() -> UnsafeBlockElements

    /// Ends the access to the memory of the block that ``beginAccess()`` gave.
    mutating func endAccess(_ elements: UnsafeBlockElements)

    /// How many tensors the block is of: 1, unless its backend has joined neighbours
    /// (``TensorBackend/neighbours(among:of:where:)``), whose first is at ``parameterIndex``.
    var tensorCount: Int { get }

    /// Multiplies the elements of each of the block's tensors by a factor of its own.
    ///
    /// - Parameter factors: As many factors as the block has tensors, each within Float's range.
    mutating func scale(byEach factors: UnsafePointer<Double>)

    /// Writes down the norm of the elements of each of the block's tensors; see ``norm(_:)``.
    mutating func measureNorms(_ norm: Norm, into norms: UnsafeMutablePointer<Double>)

    /// Multiplies every element by a factor.
    mutating func scale(by factor: Float)

    /// Multiplies every element by a factor that need not lie within Float's range, and is rounded once.
    @_disfavoredOverload mutating func scale(by factor: Double)

    /// Subtracts from every element the mean of its row, where the rank is above 1; otherwise does nothing.
    mutating func subtractRowMeans()

    /// Counts the elements by their magnitude.
    mutating func addElements(to histogram: inout MagnitudeHistogram)

    /// Moves every element into a range: min(max(x, lower), upper), with NaN kept.
    mutating func clamp(to range: ClosedRange<Float>)

    /// The norm of the block's elements.
    ///
    /// It is finite exactly if every element is; large elements do not overflow it and small ones do not vanish.
    mutating func norm(_ norm: Norm) -> Double

    /// The norm of the parameters that the block is the gradient of; 0 in a sweep without parameters.
    mutating func parameterNorm(_ norm: Norm) -> Double

    /// The number of elements that are NaN or infinite.
    mutating func nonFiniteCount() -> Int

    /// The number of elements whose magnitude is below a limit.
    mutating func count(below limit: Float) -> Int

    /// Sets elements that are NaN or infinite to 0.
    mutating func zeroNonFinite()

    /// Adds to every element the noise of its place, counted row by row from the parameter's first element.
    mutating func addNormalNoise(_ noise: NormalNoise)

    /// Clips each row by the norm of the parameter's row.
    ///
    ///     limit = factor * max(norm of the parameter's row, minimumNorm)
    ///     g = norm of g's row < limit ? g : g * limit / max(norm of g's row, epsilon)
    mutating func clipRows(factor: Float, minimumNorm: Float, epsilon: Float)

    /// Multiplies the elements by a factor and adds them to a sum; the result are the block's elements from then on.
    ///
    /// - Parameters:
    ///   - sum: The slot that holds the sum so far, counted among all slots of the pipeline; nil where there is none yet.
    ///   - destination: The slot that the result is written to, which may be the same; nil keeps it in the block alone.
    ///   - factor: What the elements are multiplied by.
    mutating func accumulate(onto sum: Int?, into destination: Int?, factor: Float)

    /// Whether no element is NaN or infinite.
    mutating func isFinite() -> Bool

    /// Sets every element to 0, whatever it is.
    mutating func clear()

    /// Writes the elements to the place where the sweep's result is wanted.
    mutating func store()

    /// Goes on with the contents of a slot, in place of the gradient and of all that has been done to it.
    ///
    /// - Parameter slot: The slot, counted among all slots of the pipeline.
    mutating func load(slot: Int)

    /// Keeps the elements as they are now, for ``UnsafeBlockElements/original``; by default nothing is kept.
    mutating func rememberGradient()

    /// The number of elements of an update that agree with the gradient which the optimizer made it of: whose product with
    /// it is above 0, even if Float cannot hold that.
    ///
    /// - Precondition: The stage stands behind an optimizer and has ``Requirement/gradient`` among its requirements.
    mutating func agreeingCount() -> Int

    /// Multiplies the elements of an update by a factor that ``agreeingCount()`` counts, and the others by 0; NaN stays NaN.
    ///
    /// - Precondition: The stage stands behind an optimizer and has ``Requirement/gradient`` among its requirements.
    mutating func scaleAgreeing(by factor: Float)
}

/// A block that an optimizer updates parameters with.
public protocol UpdateBlock: GradientBlock {
    /// The rates for the block's parameter in this step; set by the engine.
    var rates: UpdateRates { get set }

    /// Whether no parameter of the block is NaN or infinite.
    mutating func parametersAreFinite() -> Bool

    /// Whether no parameter of one of the block's tensors is NaN or infinite.
    mutating func parametersAreFinite(ofTensor tensor: Int) -> Bool

    /// Remembers the parameters until ``updateNorm()`` is asked for; by default nothing.
    mutating func rememberParameters()

    /// The L2 norm of what has been added to the parameters since they were remembered; by default NaN, for unknown.
    mutating func updateNorm() -> Double

    /// The L2 norm of what weight decay makes of the gradient: of g + decay * p.
    ///
    /// Without decay it is that of g, whatever the parameters are; like ``GradientBlock/norm(_:)`` it is finite exactly if
    /// every element is.
    mutating func decayedNorm(_ decay: Float) -> Double

    /// Writes the parameters to the copy that the sweep keeps of them, rounded to its element type.
    mutating func copyParameters()

    /// Moves a slot towards the parameters: s = s + weight * (p - s).
    ///
    /// - Parameters:
    ///   - slot: The slot's offset from the stage's first.
    ///   - weight: How far to move, from 0 to 1; a slot of zeros becomes the parameters themselves at 1.
    ///   - replacing: Whether the parameters become the slot afterwards.
    mutating func blendParameters(into slot: Int, weight: Float, replacing: Bool)

    /// Carries out one step of stochastic gradient descent on the block.
    mutating func apply(_ rule: SGDRule)

    /// Carries out one step of Adam on the block.
    mutating func apply(_ rule: AdamRule)

    /// Turns the gradient into the direction of stochastic gradient descent, and brings the slot up to date.
    mutating func makeDirection(_ rule: SGDRule)

    /// Turns the gradient into Adam's direction, and brings the slots up to date.
    mutating func makeDirection(_ rule: AdamRule)

    /// Carries out one step of Lion on the block.
    mutating func apply(_ rule: LionRule)

    /// Turns the gradient into Lion's direction, and brings the slot up to date.
    mutating func makeDirection(_ rule: LionRule)

    /// Carries out a rule by a kernel; by default there is none.
    ///
    /// - Parameters:
    ///   - rule: What is computed, with the slots of the stage at work.
    ///   - moves: Whether the parameters are moved; otherwise the gradient is turned into the direction.
    /// - Returns: Whether there is a kernel; if not, nothing has changed.
    mutating func carryOut(_ rule: ElementwiseRule, moves: Bool) -> Bool
}

/// Which slots a stage has, and whether what it writes to them lasts.
public struct SlotAccess: Sendable, Equatable {
    /// The first of them among all slots of the pipeline.
    public var first: Int
    /// How many there are.
    public var count: Int
    /// Whether changes last.
    ///
    /// In a sweep that only measures they do not: the block lends the stage copies.
    public var isKept: Bool
    /// Whether the stage declares that it reads the parameters.
    package var readsParameters = true
    /// Whether the stage declares that it reads the gradient of the optimizer that it stands behind.
    package var readsGradient = false
    /// The stage, which the engine keeps as long as the block lives; nil where there is none to name.
    ///
    /// Not counted as a reference, because it is set for every block.
    package unowned(unsafe) var stage: StageAtWork?

    /// Describes the slots of a stage.
    public init(first: Int = 0, count: Int = 0, isKept: Bool = true) {
        self.first = first
        self.count = count
        self.isKept = isKept
    }

    package init(first: Int, count: Int, readsParameters: Bool, of stage: StageAtWork) {
        self.init(first: first, count: count)
        self.readsParameters = readsParameters
        self.stage = stage
    }

    public static func == (first: SlotAccess, second: SlotAccess) -> Bool {
        (first.first, first.count, first.isKept) == (second.first, second.count, second.isKept)
    }
}

/// What an optimizer is to use for one parameter in one step.
public struct UpdateRates: Sendable {
    /// The learning rate, from the optimizer's schedule or the parameter's group.
    public var learningRate: Float
    /// The weight decay, from the optimizer or the parameter's group.
    public var weightDecay: Float

    /// Makes rates.
    public init(learningRate: Float = 0, weightDecay: Float = 0) {
        self.learningRate = learningRate
        self.weightDecay = weightDecay
    }
}

/// The memory of a block, row by row, for as long as the access lasts.
///
/// The buffers do not overlap. Each has as many elements as the block or none at all, but for slots that keep a number a
/// row, a column or a tensor.
public struct UnsafeBlockElements {
    /// The slots of the stage at work, by their offset from its first.
    public struct Slots {
        @usableFromInline let buffers: UnsafeBufferPointer<UnsafeMutableBufferPointer<Float>>

        @usableFromInline init(_ buffers: UnsafeBufferPointer<UnsafeMutableBufferPointer<Float>>) {
            self.buffers = buffers
        }

        /// How many there are.
        @inlinable public var count: Int { buffers.count }

        /// The slot at an offset; empty if the stage has not declared so many.
        @inlinable public subscript(offset: Int) -> UnsafeMutableBufferPointer<Float> {
            offset < buffers.count ? buffers[offset] : UnsafeMutableBufferPointer(start: nil, count: 0)
        }
    }

    /// The gradient's elements: a working copy, whose changes later stages see.
    public let gradient: UnsafeMutableBufferPointer<Float>
    /// The parameter's elements; empty where the sweep has no parameters.
    public let parameters: UnsafeMutableBufferPointer<Float>
    /// Where the result of a chain without an optimizer goes; empty elsewhere.
    public let output: UnsafeMutableBufferPointer<Float>
    /// The slots of the stage at work, as many as it declared.
    public let slots: Slots
    /// Behind an optimizer, the gradient that it made the update of, for stages that require ``Requirement/gradient``;
    /// elsewhere empty.
    public let original: UnsafeMutableBufferPointer<Float>
    /// Memory of undefined contents for a stage that is handed whole tensors, as much as it asked for; elsewhere empty.
    public let scratch: UnsafeMutableBufferPointer<Float>

    /// Describes the memory of a block.
    ///
    /// - Parameters:
    ///   - gradient: The working copy of the gradient.
    ///   - parameters: The parameters, or an empty buffer.
    ///   - output: The destination of ``GradientBlock/store()``, or an empty buffer.
    ///   - slots: The slots of the stage at work. The list of them has to last as long as the access; a backend keeps
    ///     one for each thread, so that no access allocates.
    ///   - original: What ``GradientBlock/rememberGradient()`` has kept, or an empty buffer.
    ///   - scratch: Memory that the stage may use for the time of the access, or an empty buffer.
    public init(
        gradient: UnsafeMutableBufferPointer<Float>,
        parameters: UnsafeMutableBufferPointer<Float>,
        output: UnsafeMutableBufferPointer<Float>,
        slots: UnsafeBufferPointer<UnsafeMutableBufferPointer<Float>>,
        original: UnsafeMutableBufferPointer<Float> = .init(start: nil, count: 0),
        scratch: UnsafeMutableBufferPointer<Float> = .init(start: nil, count: 0)
    ) {
        self.original = original
        self.scratch = scratch
        self.gradient = gradient
        self.parameters = parameters
        self.output = output
        self.slots = Slots(slots)
    }
}
