/// Who owns tensors, memory, threads and arithmetic.
///
/// A backend cuts parameters into blocks of whole rows and, for each sweep, hands every block to a body that runs
/// all stages on it. It knows no stage. The same cut has to be made whatever the number of threads, because the
/// sums of blocks are combined in block order.
public protocol TensorBackend: Sendable {
    /// A named, ordered set of float tensors in memory.
    associatedtype Tensors: TensorStorage
    /// The backend's block.
    associatedtype Block: UpdateBlock
    /// What sweeps over one layout need besides the tensors, made once: scratch, thread state.
    associatedtype Workspace: AnyObject & Sendable

    /// The backend with its default settings.
    init()

    /// How many threads a sweep may use, for the explanation.
    var threadCount: Int { get }

    /// Whether sweeps take parameters that are not float32, and write parameters elsewhere: ``Sweep/updatedParameters``,
    /// ``Sweep/masterParameters`` and ``Sweep/onlyReadsParameters``.
    ///
    /// Pipelines refuse what needs it where it is false, the default.
    var takesStoredParameters: Bool { get }

    /// Whether blocks read and write slots that are kept in codes of 8 bits, ``ElementType/int8`` and ``ElementType/uint8``.
    ///
    /// Pipelines refuse such slots where it is false, the default.
    var takesCodedSlots: Bool { get }

    /// Makes tensors of a layout, filled with zeros.
    func makeTensors(_ layout: ParameterLayout, _ elementType: ElementType) -> Tensors

    /// Cuts a layout into blocks, in layout order; an empty tensor has none.
    func blocks(of layout: ParameterLayout) -> [BlockExtent]

    /// Which neighbouring blocks, each of them a whole tensor, sweeps can hand out as one, so that small tensors cost what
    /// their elements cost; by default none.
    ///
    /// A joined block has ``GradientBlock/tensorCount`` tensors. Where tensors happen not to lie side by side, a sweep may
    /// hand them out one by one.
    ///
    /// - Parameters:
    ///   - blocks: Blocks of the layout, in its order, perhaps without those of some parameters.
    ///   - layout: The parameters.
    ///   - isAlike: Whether a pipeline does the same to two parameters, as far as that does not change from step to step.
    /// - Returns: For each block, the positions of those that it is handed out with; empty if none are joined.
    func neighbours(
        among blocks: [BlockExtent], of layout: ParameterLayout, where isAlike: (Int, Int) -> Bool
    ) -> [Range<Int>]

    /// Makes what sweeps over a layout need.
    func makeWorkspace(for layout: ParameterLayout, blocks: [BlockExtent]) -> Workspace

    /// Makes what sweeps need that hand out whole tensors.
    ///
    /// - Parameters:
    ///   - layout: The parameters.
    ///   - tensors: A block for each parameter that is handed out, with all of its rows.
    ///   - scratchCount: How many floats of ``UnsafeBlockElements/scratch`` each thread has to have.
    /// - Returns: A workspace; by default one without scratch, with which stages that ask for some stop the program.
    func makeWorkspace(for layout: ParameterLayout, tensors: [BlockExtent], scratchCount: Int) -> Workspace

    /// How many bytes of scratch a workspace holds, for the explanation.
    func scratchBytes(_ workspace: Workspace) -> Int

    /// Runs a body once for each block in the sweep's range, on one or several threads.
    ///
    /// The second argument of the body is the block's position in the list of all blocks. The memory that the
    /// sweep writes is owned by the engine for its duration, and no other reference to it is used meanwhile.
    func run(
        _ sweep: borrowing Sweep<Tensors>, in workspace: Workspace, _ body: @Sendable (inout Block, Int) -> Void)
}

extension TensorBackend {
    public var takesStoredParameters: Bool { false }

    public func neighbours(
        among blocks: [BlockExtent], of layout: ParameterLayout, where isAlike: (Int, Int) -> Bool
    ) -> [Range<Int>] { [] }

    public var takesCodedSlots: Bool { false }

    public func makeWorkspace(for layout: ParameterLayout, tensors: [BlockExtent], scratchCount: Int) -> Workspace {
        makeWorkspace(for: layout, blocks: tensors)
    }
}

/// A named, ordered set of float tensors, as a value: a copy is independent of the original.
public protocol TensorStorage: Sendable {
    /// The names and shapes.
    var layout: ParameterLayout { get }

    /// How the elements are stored.
    var elementType: ElementType { get }

    /// How those of each tensor are stored, where tensors differ; nil where all are as ``elementType`` says, the default.
    var mixedElementTypes: [ElementType]? { get }

    /// Makes sure that a change through this value is seen by no other.
    mutating func makeUnique()

    /// Gives the bytes of a tensor to a closure, to read while it runs: its elements in row-major order, as stored.
    ///
    /// - Parameters:
    ///   - position: The position of the tensor in the layout.
    ///   - body: What to do with the bytes, of which there are as many as the elements take.
    /// - Returns: What the closure returns.
    /// - Throws: What the closure throws.
    func withBytes<Result>(
        of position: Int, _ body: (UnsafeRawBufferPointer) throws(DescentError) -> Result
    ) throws(DescentError) -> Result

    /// Gives the bytes of a tensor to a closure, to change while it runs; no other value sees the change.
    ///
    /// See ``withBytes(of:_:)``.
    mutating func withMutableBytes<Result>(
        of position: Int, _ body: (UnsafeMutableRawBufferPointer) throws(DescentError) -> Result
    ) throws(DescentError) -> Result
}

extension TensorStorage {
    public var mixedElementTypes: [ElementType]? { nil }
}

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

/// A place for the mean of every row of the gradients in memory, from one sweep to the next.
///
/// It saves the next sweep a pass over each block. A backend may ignore it.
public struct RowMeans {
    /// A mean for each row, at ``BlockExtent/firstRow`` and after.
    public let values: UnsafeMutablePointer<Float>
    /// For each block of the layout, whether its means have been filled in.
    public let isKnown: UnsafeMutablePointer<Bool>

    /// Describes the place.
    public init(values: UnsafeMutablePointer<Float>, isKnown: UnsafeMutablePointer<Bool>) {
        self.values = values
        self.isKnown = isKnown
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
    /// Where blocks keep the means of the rows in memory for the next sweep over the same gradients; nil where no
    /// other sweep follows.
    public var rowMeans: RowMeans?
    /// All blocks of the layout.
    public var blocks: [BlockExtent]
    /// For each block, the positions of its neighbours that may be handed out with it as one; empty if none may.
    public var neighbours: [Range<Int>] = []
    /// Which of the blocks the sweep is over.
    public var range: Range<Int>
    /// Whether to start at the last block, on what an earlier sweep left in the cache.
    public var runsBackwards: Bool

    /// Describes a sweep.
    public init(
        gradients: Tensors, parameters: Tensors? = nil, output: Tensors? = nil, parameterCopy: Tensors? = nil,
        slots: [Tensors] = [], slotShapes: [Slot.Shape] = [], handsWholeTensors: Bool = false, appliedSteps: Int = 0,
        rowMeans: RowMeans? = nil,
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
        self.rowMeans = rowMeans
        self.blocks = blocks
        self.range = range ?? blocks.indices
        self.runsBackwards = runsBackwards
    }
}
