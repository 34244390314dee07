public import DescentErrors

/// How the processes of a job move bytes between each other: what has to be written for MPI, sockets or NCCL.
///
/// Every process is a *rank*, counted from 0. Everything else (buckets, sums, agreement) is built on the three transfers
/// here, none of which does arithmetic. Whoever writes a communicator relies on the following, and has to keep to it;
/// `verify(communicator:)` of `DescentTestKit` checks it.
///
/// - **Order.** Transfers are begun on channels. On one channel all ranks begin transfers of the same kinds and sizes in
///   the same order: the first of a rank belongs to the first of every other, the second to the second. Transfers on
///   different channels have nothing to do with each other, and ranks begin them in orders of their own. Several
///   transfers are under way at once; they may come to their ends in any order, and are waited for in any order.
/// - **Memory** belongs to the caller, who lends it from the call that begins a transfer until ``wait(for:atMost:)``
///   returns true for it. Until then the communicator does not change what is sent, and the caller neither changes what
///   is sent nor reads what is received. Bytes arrive as they were sent. Memory has no alignment to rely on. Parts have 0
///   to 2^30 bytes.
/// - **Progress.** Beginning a transfer does not wait for other ranks. Transfers move on at the latest while this rank
///   waits, for whichever of them: no thread of its own is needed.
/// - **Time.** ``wait(for:atMost:)`` returns false once its limit is over, whatever the other ranks do: if one of them
///   has died, hangs, or a message is lost.
/// - **Errors.** Every error is a `DescentError`; `DescentError.Code.communication` is there for what the
///   system says. After an error, or a wait that has taken too long, the communicator is finished: nothing more is begun
///   on it, and memory that was lent stays lent for as long as the process lives.
/// - **Threads.** Calls come from one thread at a time, not always the same.
public protocol Communicator: AnyObject, Sendable {
    /// This process's number, from 0.
    var rank: Int { get }

    /// The number of processes, at least 1; with one, transfers do what they do with many.
    var rankCount: Int { get }

    /// Opens a channel, whose transfers meet no others.
    ///
    /// All ranks open their channels in the same order; a rank may wait for the others here.
    ///
    /// - Throws: `DescentError` if the other ranks do not come, or cannot be reached.
    func openChannel() throws(DescentError) -> Channel

    /// Begins to send a part of some memory to each rank, and to receive one from each.
    ///
    ///     received[r] on rank s  =  sent[s] on rank r
    ///
    /// - Parameters:
    ///   - sent: As many parts as there are ranks, of the same size, one after another: the first goes to rank 0.
    ///   - received: Room for as many parts: the first comes from rank 0.
    ///   - channel: The channel.
    /// - Returns: What to wait for.
    /// - Throws: `DescentError` if other ranks cannot be reached.
    func beginExchange(
        _ sent: UnsafeRawBufferPointer, into received: UnsafeMutableRawBufferPointer, on channel: Channel
    ) throws(DescentError) -> Transfer

    /// Begins to send the same to every rank, and to receive what each sends.
    ///
    ///     received[r] on every rank  =  sent on rank r
    ///
    /// - Parameters:
    ///   - sent: What this rank sends, of the same size on all ranks.
    ///   - received: Room for a part from each rank: the first comes from rank 0.
    ///   - channel: The channel.
    /// - Returns: What to wait for.
    /// - Throws: `DescentError` if other ranks cannot be reached.
    func beginGathering(
        _ sent: UnsafeRawBufferPointer, into received: UnsafeMutableRawBufferPointer, on channel: Channel
    ) throws(DescentError) -> Transfer

    /// Begins to give every rank what one of them has.
    ///
    /// - Parameters:
    ///   - bytes: What the root has, and the others receive; of the same size on all ranks.
    ///   - root: The rank that has it.
    ///   - channel: The channel.
    /// - Returns: What to wait for.
    /// - Throws: `DescentError` if other ranks cannot be reached.
    func beginBroadcast(
        _ bytes: UnsafeMutableRawBufferPointer, from root: Int, on channel: Channel
    ) throws(DescentError) -> Transfer

    /// Waits for the end of a transfer: until what it receives is there, and what it sends may be changed.
    ///
    /// - Parameters:
    ///   - transfer: One that has been begun, and for which this has not returned true yet.
    ///   - limit: How long to wait; zero asks without waiting.
    /// - Returns: Whether it has ended.
    /// - Throws: `DescentError` if it cannot end any more, because a rank has gone.
    func wait(for transfer: Transfer, atMost limit: Duration) throws(DescentError) -> Bool
}

/// One of the orders in which ranks begin transfers; its number means something to its communicator alone.
public struct Channel: Sendable, Hashable {
    /// The number.
    public let number: Int

    /// The channel of a number.
    public init(_ number: Int) { self.number = number }
}

/// A transfer that is under way; its number means something to its communicator alone.
public struct Transfer: Sendable, Hashable {
    /// The number.
    public let number: Int

    /// The transfer of a number.
    public init(_ number: Int) { self.number = number }
}

extension DescentError.Code {
    /// The processes of a job have lost step with each other, or do not agree on what they train.
    public static let processMismatch = DescentError.Code("processMismatch")
    /// Another process of the job cannot take part, because of an error of its own.
    public static let processFailure = DescentError.Code("processFailure")
    /// Other processes have not come within the time limit.
    public static let processTimeout = DescentError.Code("processTimeout")
    /// Bytes cannot be moved between processes, says the system.
    public static let communication = DescentError.Code("communication")
}
