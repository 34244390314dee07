import DescentCore

extension ProcessGroup {
    /// How much all ranks exchange in the transfers that are timed, in bytes of which each sends a part to each.
    private static let trialSizes = [1 << 12, 1 << 16, 1 << 18, 1 << 20, 1 << 22]
    /// How often each is timed; the fastest counts.
    private static let trialCount = 3
    /// Once a transfer has taken so many seconds longer than the first, none is timed that has more bytes.
    private static let longestTrial = 0.004
    /// Once all have taken so many seconds, none is timed any more.
    private static let longestMeasuring = 0.03

    /// How many elements are to move together; where every link asks for the same, nothing is measured.
    ///
    /// - Parameters:
    ///   - elementCount: How many elements there are.
    ///   - byteCount: How many bytes each of them moves as.
    /// - Returns: The length, the same on all ranks.
    /// - Throws: `DescentError`, as every transfer does.
    func bucketLength(of elementCount: Int, movingAs byteCount: Int) throws(DescentError) -> Int {
        let shortest = LinkSpeed.bucketLengths.lowerBound
        if LinkSpeed.longestBucket(of: elementCount) == shortest { return shortest }
        return try measuredLink().bucketLength(of: elementCount, movingAs: byteCount, among: rankCount)
    }

    /// How fast the ranks exchange bytes: measured when it is first asked for, which all ranks do together.
    ///
    /// That takes less than a tenth of a second, or twenty times what a message takes. The slowest rank's times count, and
    /// all ranks are given those of all, so that they come to the same numbers.
    ///
    /// - Throws: `DescentError`, as every transfer does.
    func measuredLink() throws(DescentError) -> LinkSpeed {
        if let linkSpeed { return linkSpeed }
        let size = Self.trialSizes.last ?? 0
        // In memory that stays, because after an error the communicator may still write to it.
        let sent = UnsafeMutableRawBufferPointer.allocate(byteCount: size + rankCount, alignment: 64)
        let received = UnsafeMutableRawBufferPointer.allocate(byteCount: size + rankCount, alignment: 64)
        sent.initializeMemory(as: UInt8.self, repeating: 0)
        received.initializeMemory(as: UInt8.self, repeating: 0)
        // The first transfer may open connections.
        _ = try time(rankCount, sent, received)
        let link = try measuredLink { (count) throws(DescentError) in try time(count, sent, received) }
        sent.deallocate()
        received.deallocate()
        linkSpeed = link
        return link
    }

    /// How fast the ranks exchange bytes, by how long exchanges take.
    ///
    /// - Parameter seconds: How many seconds an exchange of so many bytes takes.
    /// - Returns: The speed, the same on all ranks.
    /// - Throws: What timing throws, and `DescentError` as every transfer does.
    func measuredLink(timing seconds: (Int) throws(DescentError) -> Double) throws(DescentError) -> LinkSpeed {
        var trials: [(bytes: Int, seconds: Double)] = []
        var total = 0.0
        for size in Self.trialSizes {
            let part = max(1, size / rankCount)
            var fastest = Double.infinity
            for _ in 0..<Self.trialCount { fastest = min(fastest, try seconds(part * rankCount)) }
            let slowest = try slowest(fastest)
            trials.append((part * (rankCount - 1), slowest))
            total += slowest * Double(Self.trialCount)
            if trials.count > 1, total > Self.longestMeasuring || slowest - trials[0].seconds > Self.longestTrial {
                break
            }
        }
        return LinkSpeed(short: trials[0], long: trials[trials.count - 1])
    }

    /// How many seconds an exchange of so many bytes takes.
    private func time(
        _ count: Int, _ sent: UnsafeMutableRawBufferPointer, _ received: UnsafeMutableRawBufferPointer
    ) throws(DescentError) -> Double {
        let start = ContinuousClock.now
        try wait(
            for: beginExchange(
                UnsafeRawBufferPointer(rebasing: sent[..<count]),
                into: UnsafeMutableRawBufferPointer(rebasing: received[..<count]), on: data))
        return (ContinuousClock.now - start) / .seconds(1)
    }

    /// The most seconds that any rank has taken.
    private func slowest(_ seconds: Double) throws(DescentError) -> Double {
        var writer = ByteWriter()
        writer.write(seconds.bitPattern)
        return try gather(writer.bytes).reduce(0) { slowest, bytes in
            var reader = ByteReader(bytes)
            return max(slowest, Double(bitPattern: reader.number() ?? 0))
        }
    }
}
