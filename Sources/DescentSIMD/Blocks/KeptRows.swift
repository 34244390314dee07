import DescentCore

/// What blocks compute of their rows and keep for the next sweep over the same gradients: means, and factors that clip.
///
/// A workspace owns the memory. Blocks are disjoint, so that threads write to different places of it.
struct KeptRows {
    private let rowCount: Int
    private let blockCount: Int
    fileprivate let means: UnsafeMutablePointer<Float>
    fileprivate let factors: UnsafeMutablePointer<Float>
    fileprivate let notes: UnsafeMutablePointer<Note>

    /// Where a block's rows are.
    struct Place {
        /// The position of the block, or of the first that it is made of.
        let index: Int
        /// The number of rows before it.
        let firstRow: Int
    }

    /// What is known of the rows of one block.
    fileprivate struct Note {
        /// Which gradients the means are of; nil for none.
        var means: Int?
        /// Which gradients the factors are of; nil for none.
        var factors: Int?
        var clip: PendingRowClip?
        var clips = false
    }

    init(blocks: [BlockExtent]) {
        rowCount = blocks.reduce(0) { max($0, $1.firstRow + $1.rows.count) }
        blockCount = blocks.count
        means = .allocate(capacity: rowCount)
        means.initialize(repeating: 0, count: rowCount)
        factors = .allocate(capacity: rowCount)
        factors.initialize(repeating: 1, count: rowCount)
        notes = .allocate(capacity: blockCount)
        notes.initialize(repeating: Note(), count: blockCount)
    }

    func deallocate() {
        means.deallocate()
        factors.deallocate()
        notes.deallocate()
    }

    var allocatedBytes: Int { 2 * 4 * rowCount + MemoryLayout<Note>.stride * blockCount }
}

/// The rows of one block in memory that lasts from one sweep to the next.
struct KeptBlockRows {
    let means: UnsafeMutablePointer<Float>
    let factors: UnsafeMutablePointer<Float>
    /// Of each tensor of the block.
    private let notes: UnsafeMutableBufferPointer<KeptRows.Note>
    private let version: Int

    /// Looks up a block.
    ///
    /// - Parameters:
    ///   - rows: The rows of all blocks.
    ///   - place: Where those of the block are.
    ///   - tensorCount: How many blocks it is made of.
    ///   - version: Which gradients the sweep is over.
    init(_ rows: KeptRows, at place: KeptRows.Place, tensorCount: Int, version: Int) {
        means = rows.means + place.firstRow
        factors = rows.factors + place.firstRow
        notes = UnsafeMutableBufferPointer(start: rows.notes + place.index, count: tensorCount)
        self.version = version
    }

    /// Whether the means are those of the present gradients.
    var meansAreKnown: Bool {
        for tensor in notes.indices where notes[tensor].means != version { return false }
        return true
    }

    /// Notes that the means have been computed.
    func noteMeans() {
        for tensor in notes.indices { notes[tensor].means = version }
    }

    /// Whether some rows are clipped, where the factors are those of a clip of the present gradients; nil where they are not.
    func clips(_ clip: PendingRowClip) -> Bool? {
        notes.count == 1 && notes[0].factors == version && notes[0].clip == clip ? notes[0].clips : nil
    }

    /// Notes that the factors of a clip have been computed.
    func noteFactors(of clip: PendingRowClip, clips: Bool) {
        guard notes.count == 1 else { return }
        (notes[0].factors, notes[0].clip, notes[0].clips) = (version, clip, clips)
    }

    /// Forgets what is known, because the block's memory holds other gradients from now on.
    func forget() { notes.update(repeating: KeptRows.Note()) }
}

/// A clip of rows, and what is done to elements in memory before it: the same factors come of the same.
struct PendingRowClip: Equatable {
    let clip: RowClip
    let factor: Double
    let isCentered: Bool
    let limits: ElementLimits?
}
