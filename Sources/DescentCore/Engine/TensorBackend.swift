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

    /// Whether slots may hold some rows of the parameters alone, as ``makeTensors(_:_:startingAt:)`` makes them.
    ///
    /// Pipelines refuse to share rows with other processes where it is false, the default.
    var takesRowDivisions: Bool { get }

    /// Makes tensors of a layout, filled with zeros.
    func makeTensors(_ layout: ParameterLayout, _ elementType: ElementType) -> Tensors

    /// Makes tensors that are parts of others, filled with zeros, for the slots of a process that works on some rows alone.
    ///
    /// Blocks and their places are those of the whole parameters: in a sweep, what a block would find at a place of a whole
    /// slot, it finds at that place less the origin. To everybody else these are tensors like any others.
    ///
    /// - Parameters:
    ///   - layout: What there is of each.
    ///   - elementType: How elements are stored.
    ///   - origins: For each, the place of its first element in the whole.
    /// - Returns: The tensors.
    func makeTensors(
        _ layout: ParameterLayout, _ elementType: ElementType, startingAt origins: [Int]
    ) -> Tensors

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

    /// Runs the work of a step once for each block in a sweep's range; by default as any other body.
    ///
    /// The default becomes part of the backend's module, in which the compiler knows the types of tensors and blocks.
    ///
    /// - Parameters:
    ///   - work: What is done to each block.
    ///   - outline: What the sweep is, but for its tensors.
    ///   - tensors: What the step has been given.
    ///   - slots: All slots.
    ///   - parameterCopies: The copy that is kept of the parameters; one or none.
    ///   - workspace: What sweeps over the layout need.
    func run(
        _ work: borrowing BlockWork, _ outline: SweepOutline, _ tensors: StepTensors<Tensors>, slots: [Tensors],
        parameterCopies: [Tensors], in workspace: Workspace)
}

extension TensorBackend {
    @inlinable
    public func run(
        _ work: borrowing BlockWork, _ outline: SweepOutline, _ tensors: StepTensors<Tensors>, slots: [Tensors],
        parameterCopies: [Tensors], in workspace: Workspace
    ) {
        let sweep = Sweep(outline, tensors, slots: slots, parameterCopies: parameterCopies)
        run(sweep, in: workspace) { block, index in work.run(on: &block, at: index) }
    }

    public var takesStoredParameters: Bool { false }

    public func neighbours(
        among blocks: [BlockExtent], of layout: ParameterLayout, where isAlike: (Int, Int) -> Bool
    ) -> [Range<Int>] { [] }

    public var takesCodedSlots: Bool { false }

    public var takesRowDivisions: Bool { false }

    public func makeTensors(
        _ layout: ParameterLayout, _ elementType: ElementType, startingAt origins: [Int]
    ) -> Tensors {
        stopForMisuse("\(type(of: self)) makes no tensors of parts, since its takesRowDivisions is false.")
    }

    public func makeWorkspace(for layout: ParameterLayout, tensors: [BlockExtent], scratchCount: Int) -> Workspace {
        makeWorkspace(for: layout, blocks: tensors)
    }
}

extension SlotTable {
    /// Refuses slots in codes where the backend has not got them.
    func requireKept(by backend: some TensorBackend) throws(DescentError) {
        guard !backend.takesCodedSlots, let index = types.firstIndex(where: \.isCoded) else { return }
        throw DescentError(
            .invalidSetting,
            "\(names[index]) is to be kept in \(types[index]) on \(type(of: backend)), whose takesCodedSlots is false: use "
                + "moments of bfloat16 or float32.")
    }
}
