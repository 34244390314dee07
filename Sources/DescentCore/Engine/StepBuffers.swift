/// What the blocks of a sweep write down for the engine: norms and what is not finite.
///
/// An engine owns its buffers alone, and the threads of a sweep write to different elements of them; that is what
/// makes handing them to other threads safe.
@usableFromInline final class StepBuffers: @unchecked Sendable {
    /// What a sweep found in a block.
    @usableFromInline struct Flags: OptionSet, Sendable {
        @usableFromInline let rawValue: UInt8

        @inlinable init(rawValue: UInt8) { self.rawValue = rawValue }

        /// NaN or infinities in the gradient, the sum of a window, or the parameters once they were updated.
        @inlinable static var isNotFinite: Flags { Flags(rawValue: 1) }
        /// NaN or infinities in the parameters before they were updated.
        @inlinable static var wasNotFinite: Flags { Flags(rawValue: 2) }
    }

    /// The norm of each block, statistic by statistic.
    @usableFromInline let blockNorms: UnsafeMutablePointer<Double>
    /// What was found in each block by the last sweep that looked.
    @usableFromInline let flags: UnsafeMutablePointer<Flags>
    private let blockCount: Int
    private let statisticCount: Int

    init(statisticCount: Int, blockCount: Int) {
        self.statisticCount = statisticCount
        self.blockCount = blockCount
        blockNorms = .allocate(capacity: max(1, statisticCount * blockCount))
        blockNorms.initialize(repeating: 0, count: statisticCount * blockCount)
        flags = .allocate(capacity: max(1, blockCount))
        flags.initialize(repeating: [], count: blockCount)
    }

    deinit {
        blockNorms.deallocate()
        flags.deallocate()
    }

    /// The same buffers with the same contents, for another engine: a micro-batch may be half measured.
    func copy() -> StepBuffers {
        let copy = StepBuffers(statisticCount: statisticCount, blockCount: blockCount)
        copy.blockNorms.update(from: blockNorms, count: statisticCount * blockCount)
        copy.flags.update(from: flags, count: blockCount)
        return copy
    }

    // Here and not in the generic engine, in which each iteration would look up what type it is of.

    /// The first block in which the last sweep that looked found something.
    func firstBlock(with flag: Flags) -> Int? {
        for block in 0..<blockCount where flags[block].contains(flag) { return block }
        return nil
    }

    /// Whether the last sweep that looked found anything.
    var hasFlags: Bool {
        for block in 0..<blockCount where flags[block] != [] { return true }
        return false
    }
}
