/// Which arrays of many lend their memory, and which are copied to scratch and back.
///
/// An array gives its memory for the length of a call, so it takes one call within another for each that lends. That
/// must not overflow a small stack, however many parameters a model has.
struct LendingPlan {
    /// How many arrays lend at most: for so many, stacks of 512 KiB suffice even in a debug build.
    static let limit = 64

    /// The positions of the largest arrays.
    let lent: [Int]
    /// The positions of the others, and where each lies in scratch.
    let copied: [(position: Int, range: Range<Int>)]
    /// The number of elements of scratch.
    let scratchCount: Int

    init(_ arrays: [[Float]]) {
        let order = arrays.indices.sorted { (arrays[$0].count, $1) > (arrays[$1].count, $0) }
        lent = Array(order.prefix(Self.limit))
        var copied: [(position: Int, range: Range<Int>)] = []
        var end = 0
        for position in order.dropFirst(Self.limit) {
            let start = end
            end += arrays[position].count
            copied.append((position, start..<end))
        }
        self.copied = copied
        scratchCount = end
    }

    /// The copied arrays, one after another.
    func makeScratch(_ arrays: [[Float]]) -> [Float] {
        var scratch: [Float] = []
        scratch.reserveCapacity(scratchCount)
        for (position, _) in copied { scratch += arrays[position] }
        return scratch
    }
}
