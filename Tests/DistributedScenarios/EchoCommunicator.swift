public import DescentDistributed
public import DescentErrors

/// One rank of a job of any size, whose other ranks do exactly as it does.
///
/// What each of them sends is what this one sends, so that everything is as in a large job, on one machine and at once, but
/// for the sums: these are of equal gradients. For counting bytes and memory where there is no room for all ranks.
public final class EchoCommunicator: Communicator {
    public let rank: Int
    public let rankCount: Int

    /// A rank of a job.
    public init(rank: Int = 0, among rankCount: Int) { (self.rank, self.rankCount) = (rank, rankCount) }

    public func openChannel() throws(DescentError) -> Channel { Channel(0) }

    public func beginExchange(
        _ sent: UnsafeRawBufferPointer, into received: UnsafeMutableRawBufferPointer, on channel: Channel
    ) throws(DescentError) -> Transfer {
        let size = sent.count / rankCount
        return repeated(UnsafeRawBufferPointer(rebasing: sent[rank * size..<(rank + 1) * size]), into: received)
    }

    public func beginGathering(
        _ sent: UnsafeRawBufferPointer, into received: UnsafeMutableRawBufferPointer, on channel: Channel
    ) throws(DescentError) -> Transfer { repeated(sent, into: received) }

    public func beginBroadcast(
        _ bytes: UnsafeMutableRawBufferPointer, from root: Int, on channel: Channel
    ) throws(DescentError) -> Transfer { Transfer(0) }

    public func wait(for transfer: Transfer, atMost limit: Duration) throws(DescentError) -> Bool { true }

    private func repeated(
        _ part: UnsafeRawBufferPointer, into received: UnsafeMutableRawBufferPointer
    ) -> Transfer {
        for rank in 0..<rankCount {
            UnsafeMutableRawBufferPointer(rebasing: received[rank * part.count..<(rank + 1) * part.count])
                .copyMemory(from: part)
        }
        return Transfer(0)
    }
}
