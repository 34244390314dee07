public import DescentCore

/// What the steps of an ``AllReduce`` cost each rank in bytes, also of jobs that are too large to be tried.
///
/// Of N elements in buckets, each of n ranks sends n - 1 shards of every bucket to the ranks that sum them, and its own sum
/// to n - 1 ranks:
///
///     sent  =  (n - 1) · sum over buckets of ⌈length / n⌉ · (bytes of a gradient + bytes of a sum)
///
/// That is the fewest bytes with which n ranks can all have the sums, 2 (n - 1) / n · N elements (Patarasuk and Yuan,
/// 2009), but for padding where a bucket cannot be divided evenly. Whatever the ranks tell each other comes on top.
///
/// ```swift
/// print(ExchangeCosts(elementCount: 1_300_000_000, rankCount: 64))
/// ```
public struct ExchangeCosts: Sendable, Hashable, CustomStringConvertible {
    /// The number of elements whose gradients are exchanged.
    public let elementCount: Int
    /// The number of ranks.
    public let rankCount: Int
    /// How many bytes of gradients and sums a rank sends in a step.
    public let sentBytes: Int
    /// How many bytes a rank sends in a step to tell the others what it is about to do.
    public let announcedBytes: Int
    /// The fewest bytes that each rank has to send, on average, for all to have the sums.
    public let leastBytes: Int
    /// How many bytes of buckets a rank keeps.
    public let bufferBytes: Int

    /// Counts the bytes of a step.
    ///
    /// - Parameters:
    ///   - elementCount: The number of elements whose gradients are exchanged, at least 0.
    ///   - rankCount: The number of ranks, at least 1.
    ///   - bucketLength: How many elements move together, at least 1.
    ///   - gradientType: How gradients are handed over; float32 for the sum of several micro-batches.
    ///   - movingType: How gradients and sums move; see ``AllReduce/movingType``.
    public init(
        elementCount: Int, rankCount: Int, bucketLength: Int = 1 << 20, gradientType: ElementType = .float32,
        movingAs movingType: ElementType? = nil
    ) {
        stopUnless(
            elementCount >= 0 && rankCount >= 1 && bucketLength >= 1,
            "There are no costs of \(elementCount) elements among \(rankCount) ranks in buckets of \(bucketLength).")
        (self.elementCount, self.rankCount) = (elementCount, rankCount)
        let (whole, rest) = elementCount.quotientAndRemainder(dividingBy: bucketLength)
        func shardLength(_ length: Int) -> Int { (length + rankCount - 1) / rankCount }
        let shards = whole * shardLength(bucketLength) + shardLength(rest)
        let moved = (movingType ?? gradientType).byteCount + (movingType ?? .float32).byteCount
        let isExchanged = rankCount > 1
        sentBytes = (rankCount - 1) * shards * moved
        // A window is announced, and then what becomes of the step.
        announcedBytes = (rankCount - 1) * 2 * Announcement.byteCount
        // Rounded up without leaving the range of Int.
        leastBytes =
            elementCount / rankCount * (rankCount - 1) * moved
            + (elementCount % rankCount * (rankCount - 1) * moved + rankCount - 1) / rankCount
        // Each bucket keeps what is sent and what is received, and a rank's own sums.
        bufferBytes = isExchanged ? shards * (2 * rankCount + 1) * ElementType.float32.byteCount : 0
    }

    /// How long a step's bytes are on their way, in seconds, where nothing else is.
    ///
    /// - Parameter link: How fast a rank sends; what a transfer takes however short is counted for the first and the last
    ///   alone, since others are on their way meanwhile.
    /// - Returns: The seconds; 0 with a single rank.
    public func seconds(over link: LinkSpeed) -> Double {
        rankCount == 1 ? 0 : Double(sentBytes + announcedBytes) / link.bandwidth + 2 * link.latency
    }

    /// The numbers, in a sentence.
    public var description: String {
        "With \(rankCount) ranks, each sends \(sentBytes) bytes for \(elementCount) elements, of \(leastBytes) at least, and "
            + "\(announcedBytes) to agree; its buckets take \(bufferBytes)."
    }
}
