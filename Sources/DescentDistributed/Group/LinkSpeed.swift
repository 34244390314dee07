/// How fast ranks exchange bytes: what every transfer takes, and what each byte adds.
///
///     seconds of a transfer  =  latency  +  bytes that a rank sends / bandwidth
///
/// It is measured through the communicator, so that it is that of network, communicator and processors together.
public struct LinkSpeed: Sendable, Hashable, CustomStringConvertible {
    /// What a transfer takes however few bytes it has, in seconds.
    public let latency: Double
    /// How many more bytes a rank sends in a transfer that takes a second longer.
    public let bandwidth: Double

    /// A speed that is known.
    ///
    /// - Parameters:
    ///   - latency: In seconds, at least 0.
    ///   - bandwidth: In bytes per second, more than 0.
    public init(latency: Double, bandwidth: Double) {
        (self.latency, self.bandwidth) = (latency, bandwidth)
    }

    /// The line through a short and a long transfer.
    ///
    /// Where the long one took hardly longer, as on a machine that is busy with something else, all of its time is counted
    /// as that of its bytes.
    init(
        short: (bytes: Int, seconds: Double), long: (bytes: Int, seconds: Double)
    ) {
        let (more, longer) = (Double(long.bytes - short.bytes), long.seconds - short.seconds)
        let isLonger = longer > 0.1 * long.seconds && more > 0
        let perByte = isLonger ? longer / more : long.seconds / Double(max(1, long.bytes))
        bandwidth = 1 / max(perByte, 1e-15)
        latency = max(0, short.seconds - Double(short.bytes) * perByte)
    }

    /// The lengths that buckets are chosen from: 256 kB to 16 MB of float32.
    static let bucketLengths = 1 << 16...1 << 22

    /// How many elements are to move together: the fewest with which bytes take nine tenths of a transfer's time.
    ///
    ///     bytes / bandwidth = 0.9 (latency + bytes / bandwidth)    =>    bytes = 9 · latency · bandwidth
    ///
    /// It is rounded up to a power of two. At most an eighth of all elements move together, so that most of them move
    /// while a backward pass makes the others; but no fewer than the shortest bucket.
    ///
    /// - Parameters:
    ///   - elementCount: How many elements there are.
    ///   - byteCount: How many bytes each of them moves as.
    ///   - rankCount: The number of ranks, each of which sends all but its own part of a bucket.
    /// - Returns: The length, one of ``bucketLengths``.
    func bucketLength(of elementCount: Int, movingAs byteCount: Int, among rankCount: Int) -> Int {
        let sentShare = Double(max(1, rankCount - 1)) / Double(max(1, rankCount))
        let wanted = 9 * latency * bandwidth / (Double(byteCount) * sentShare)
        let longest = Self.longestBucket(of: elementCount)
        var length = Self.bucketLengths.lowerBound
        while length < longest, Double(length) < wanted { length *= 2 }
        return length
    }

    /// How many of so many elements move together on the slowest link.
    static func longestBucket(of elementCount: Int) -> Int {
        var length = bucketLengths.lowerBound
        while length < bucketLengths.upperBound, length * 2 <= elementCount / 8 { length *= 2 }
        return length
    }

    /// Both numbers, in microseconds and megabytes.
    public var description: String {
        "\((latency * 1e7).rounded() / 10) µs and \((bandwidth / 1e5).rounded() / 10) MB a second"
    }
}
