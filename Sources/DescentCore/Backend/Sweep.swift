/// Where a block lies: a run of whole rows of one parameter.
public struct BlockExtent: Sendable, Hashable {
    /// The position of the parameter in the layout.
    public let parameterIndex: Int
    /// The rows, counted within the parameter.
    public let rows: Range<Int>
    /// The number of rows that come before this block in all parameters of rank 2 and more.
    public let firstRow: Int

    /// Describes a block.
    public init(parameterIndex: Int, rows: Range<Int>, firstRow: Int) {
        self.parameterIndex = parameterIndex
        self.rows = rows
        self.firstRow = firstRow
    }
}

/// The memory that one sweep runs over.
public struct Sweep<Tensors: TensorStorage> {
    /// What blocks read the gradient from.
    public var gradients: Tensors
    /// The parameters; nil in a sweep that needs none.
    ///
    /// Those that are not float32 are handed to stages and optimizers as float32. Where they are changed, they are rounded:
    /// to nearest where there are ``masterParameters``, else at random.
    public var parameters: Tensors?
    /// Where the sweep writes the parameters of all its blocks, changed or not; nil where they are changed in place.
    public var updatedParameters: Tensors?
    /// The float32 values of parameters that are not float32; nil where none are kept.
    ///
    /// A value that does not round to the parameter is replaced by the parameter before the block is worked on. Values of
    /// parameters that are float32 are neither read nor written.
    public var masterParameters: Tensors?
    /// Whether the sweep is not to write parameters, nor masters.
    public var onlyReadsParameters = false
    /// Where ``GradientBlock/store()`` writes; nil in a sweep that stores nothing.
    public var output: Tensors?
    /// Where ``UpdateBlock/copyParameters()`` writes; nil in a sweep that copies nothing.
    public var parameterCopy: Tensors?
    /// All slots of the pipeline.
    public var slots: [Tensors]
    /// How many numbers each slot keeps of a parameter; empty where all have the parameter's shape.
    public var slotShapes: [Slot.Shape]
    /// Whether each block is a whole tensor, so that stages can change slots that keep a number a column or a tensor.
    public var handsWholeTensors: Bool
    /// The number of steps applied before this one, from which random bits for rounding are made.
    public var appliedSteps: Int
    /// Which gradients and parameters are swept over; nil where nothing is to be kept of them.
    ///
    /// Sweeps in a workspace have the same number where both are the same, so that a backend can keep what a sweep has
    /// computed of rows, such as their means, for those that follow. The gradients of a block become others where
    /// ``GradientBlock/accumulate(onto:into:factor:)`` writes to memory. A backend may ignore it.
    public var gradientVersion: Int?
    /// All blocks of the layout.
    public var blocks: [BlockExtent]
    /// For each block, the positions of its neighbours that may be handed out with it as one; empty if none may.
    public var neighbours: [Range<Int>] = []
    /// Which of the blocks the sweep is over.
    public var range: Range<Int>
    /// Whether to start at the last block, on what an earlier sweep left in the cache.
    public var runsBackwards: Bool

    /// Describes a sweep.
    @inlinable
    public init(
        gradients: Tensors, parameters: Tensors? = nil, output: Tensors? = nil, parameterCopy: Tensors? = nil,
        slots: [Tensors] = [], slotShapes: [Slot.Shape] = [], handsWholeTensors: Bool = false, appliedSteps: Int = 0,
        gradientVersion: Int? = nil,
        blocks: [BlockExtent], range: Range<Int>? = nil, runsBackwards: Bool = false
    ) {
        self.slotShapes = slotShapes
        self.handsWholeTensors = handsWholeTensors
        self.gradients = gradients
        self.parameters = parameters
        self.output = output
        self.parameterCopy = parameterCopy
        self.slots = slots
        self.appliedSteps = appliedSteps
        self.gradientVersion = gradientVersion
        self.blocks = blocks
        self.range = range ?? blocks.indices
        self.runsBackwards = runsBackwards
    }
}
