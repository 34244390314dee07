public import DescentCore

/// The reference backend: tensors in main memory, SIMD kernels, several threads.
///
/// The same inputs give the same bits with any number of threads: blocks are cut the same way for all of them, each
/// block's sums are made of 16 float lanes in four accumulators, and sums of blocks are combined in Double in the
/// order of the blocks. No multiplication is fused with an addition.
public struct SIMDBackend: TensorBackend {
    /// How many elements a block holds at most, unless one row has more.
    public static let defaultBlockLength = 16_384

    /// How far blocks of a small model are cut down.
    private static let smallestBlockLength = 4_096
    /// How many elements make it worth waking another thread, unless told otherwise.
    public static let defaultElementsPerThread = 16_384

    /// How many threads a sweep may use.
    public let threadCount: Int
    /// The instructions that kernels are made of.
    public let instructionSet: InstructionSet
    let blockLength: Int
    let elementsPerThread: Int

    /// A backend with as many threads as this process may use processors.
    ///
    /// On Linux these are the processors that the calling thread may run on (`taskset`), and no more than the quota of
    /// processor time of its control groups, as containers have it, rounded down; elsewhere they are all that are online.
    public init() { self.init(threads: AvailableProcessors.count) }

    /// A backend with a number of threads.
    ///
    /// - Precondition: Arguments are in their ranges; otherwise the program prints which one is not, and stops.
    /// - Parameters:
    ///   - threads: How many threads a sweep may use, at least 1. Small sweeps run on the caller's thread alone.
    ///   - blockLength: How many elements a block holds at most, unless one row has more; at least 1. Results
    ///     depend on it in their last bits.
    ///   - elementsPerThread: How many elements make it worth waking another thread; at least 1.
    ///   - instructionSet: The instructions that kernels are made of, which the processor has to have.
    public init(
        threads: Int, blockLength: Int = defaultBlockLength, elementsPerThread: Int = defaultElementsPerThread,
        instructionSet: InstructionSet = .preferred
    ) {
        stopUnless(instructionSet.isAvailable, "This processor does not have \(instructionSet).")
        stopUnless(threads >= 1, "SIMDBackend needs at least one thread, not \(threads).")
        stopUnless(blockLength >= 1, "A block needs at least one element, not \(blockLength).")
        stopUnless(elementsPerThread >= 1, "A thread needs at least one element, not \(elementsPerThread).")
        threadCount = threads
        self.blockLength = blockLength
        self.elementsPerThread = elementsPerThread
        self.instructionSet = instructionSet
    }

    public var takesStoredParameters: Bool { true }

    public var takesCodedSlots: Bool { true }

    public var takesRowDivisions: Bool { true }

    public func makeTensors(_ layout: ParameterLayout, _ elementType: ElementType) -> TensorSet {
        TensorSet(zeros: layout, elementType)
    }

    public func makeTensors(
        _ layout: ParameterLayout, _ elementType: ElementType, startingAt origins: [Int]
    ) -> TensorSet {
        TensorSet(layout: layout, memory: AlignedMemory(layout, elementType, startingAt: origins))
    }

    public func blocks(of layout: ParameterLayout) -> [BlockExtent] {
        let length = joinedLength(of: layout)
        var blocks: [BlockExtent] = []
        var firstRow = 0
        for (index, parameter) in layout.enumerated() where parameter.count > 0 {
            let rowsOfBlock = rowsOfBlock(parameter, length)
            for row in stride(from: 0, to: parameter.rowCount, by: rowsOfBlock) {
                let rows = row..<min(row + rowsOfBlock, parameter.rowCount)
                blocks.append(BlockExtent(parameterIndex: index, rows: rows, firstRow: firstRow))
                if parameter.rank > 1 { firstRow += rows.count }
            }
        }
        return blocks
    }

    /// How many elements of a layout are in a block at most, unless one row has more.
    ///
    /// Small models are cut finer, so that threads end at the same time; what it depends on is the layout alone.
    func joinedLength(of layout: ParameterLayout) -> Int {
        min(blockLength, max(Self.smallestBlockLength, layout.elementCount / 32))
    }

    public func neighbours(
        among blocks: [BlockExtent], of layout: ParameterLayout, where isAlike: (Int, Int) -> Bool
    ) -> [Range<Int>] {
        let length = joinedLength(of: layout)
        var runs: [Range<Int>] = []
        var run = 0..<0
        var runLength = 0
        for (index, block) in blocks.enumerated() {
            let parameter = layout[block.parameterIndex]
            let isJoined =
                !run.isEmpty && runLength + parameter.count <= length
                && lieTogether(blocks[index - 1], block, in: layout)
                && isAlike(blocks[run.lowerBound].parameterIndex, block.parameterIndex)
            if !isJoined {
                runs.append(run)
                (run, runLength) = (index..<index, 0)
            }
            run = run.lowerBound..<index + 1
            runLength += parameter.count
        }
        runs.append(run)
        guard runs.contains(where: { $0.count > 1 }) else { return [] }
        return runs.flatMap { [Range<Int>](repeating: $0, count: $0.count) }
    }

    /// Whether two blocks are whole tensors, one where the other ends, with rows of one length.
    private func lieTogether(_ first: BlockExtent, _ second: BlockExtent, in layout: ParameterLayout) -> Bool {
        let (one, other) = (layout[first.parameterIndex], layout[second.parameterIndex])
        // Elements of 16 bits have to fill cache lines, too.
        return second.parameterIndex == first.parameterIndex + 1
            && first.rows == 0..<one.rowCount && second.rows == 0..<other.rowCount
            && one.count.isMultiple(of: AlignedMemory.alignment / 2)
            && (one.rank > 1) == (other.rank > 1) && one.columnCount == other.columnCount
            && one.outputAxis != .last && other.outputAxis != .last
    }

    private func rowsOfBlock(_ parameter: ParameterDescription, _ length: Int) -> Int {
        let rows = max(1, length / parameter.columnCount)
        // Units that are the last dimension lie side by side: take whole vectors of them.
        return parameter.outputAxis == .last
            ? max(Kernels.laneCount, rows / Kernels.laneCount * Kernels.laneCount) : rows
    }

    public func makeWorkspace(for layout: ParameterLayout, blocks: [BlockExtent]) -> SIMDWorkspace {
        SIMDWorkspace(layout: layout, blocks: blocks, backend: self)
    }

    public func makeWorkspace(
        for layout: ParameterLayout, tensors: [BlockExtent], scratchCount: Int
    ) -> SIMDWorkspace {
        SIMDWorkspace(layout: layout, blocks: tensors, scratchCount: scratchCount, backend: self)
    }

    public func scratchBytes(_ workspace: SIMDWorkspace) -> Int { workspace.scratchBytes }

    public func run(
        _ sweep: borrowing Sweep<TensorSet>, in workspace: SIMDWorkspace,
        _ body: @Sendable (inout SIMDBlock, Int) -> Void
    ) {
        workspace.run(sweep, body)
    }
}
