/// How long one update of the parameters took.
struct StepTime {
    /// All of it, in nanoseconds.
    private(set) var whole = 0.0
    /// The part of micro-batches that were added to an open window: neither the first, which overwrites what the last
    /// window left, nor the last, which closes it.
    private(set) var adding = 0.0

    /// Adds the time of one micro-batch, counted from 1.
    mutating func add(_ duration: Duration, microBatch: Int, of count: Int) {
        let nanoseconds = duration / .nanoseconds(1)
        whole += nanoseconds
        if microBatch > 1, microBatch < count { adding += nanoseconds }
    }

    /// The sum of two.
    static func + (left: StepTime, right: StepTime) -> StepTime {
        var sum = left
        sum.whole += right.whole
        sum.adding += right.adding
        return sum
    }

    /// One of so many equal parts.
    static func / (time: StepTime, count: Int) -> StepTime {
        var share = time
        share.whole /= Double(count)
        share.adding /= Double(count)
        return share
    }
}
