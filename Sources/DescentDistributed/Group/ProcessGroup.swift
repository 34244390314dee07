public import DescentCore

/// The processes of a job that train together, as one of them sees them.
///
/// Every process is a *rank*, counted from 0. Whatever concerns all of them (building a pipeline with an ``AllReduce``,
/// stepping it, broadcasting) all of them have to do, in the same order; each such call announces itself to the other
/// ranks first, so that ranks which have lost step with each other find out, and throw, instead of waiting for ever.
///
/// An error that concerns all ranks is thrown on all. What concerns one step alone (arguments that a rank refuses, a
/// stage that throws) leaves the group as it was; when a rank does not come within the time limit, or has left, the
/// group is finished, and every later call throws the same error again.
///
/// Calls have to come from one thread at a time; that makes it safe to hand to another.
public final class ProcessGroup: @unchecked Sendable {
    // Unchecked because its calls are serialized by contract, like the communicator's.
    private let communicator: any Communicator
    /// This process's number, from 0.
    public var rank: Int { communicator.rank }
    /// The number of processes.
    public var rankCount: Int { communicator.rankCount }
    /// How long this rank waits for others before it throws.
    public let timeLimit: Duration

    /// Where announcements are exchanged, apart from all else.
    private let control: Channel
    /// Where all else is exchanged that ranks wait for at once.
    let data: Channel
    /// How fast the ranks exchange bytes; nil until a pipeline has been built that had to know.
    ///
    /// It is measured once, by all ranks together, when an ``AllReduce`` of a million elements or more is built whose
    /// bucket length is not given.
    public internal(set) var linkSpeed: LinkSpeed?
    /// How many bytes this rank has given the communicator for other ranks.
    ///
    /// A broadcast counts as if the root sent to each of the others by itself.
    public private(set) var sentByteCount = 0
    /// Why the ranks cannot find to one step again; nil as long as they can.
    private var failure: DescentError?
    /// Announcements that nobody waits for, kept until the communicator has done with their memory.
    private var unawaited: [PendingAnnouncements] = []
    /// What has held announcements that have arrived, for those to come.
    private var unused: PendingAnnouncements?
    /// How many exchanges have been opened, which numbers them alike on all ranks.
    private var openedExchanges: UInt64 = 0
    /// An exchange that others wait for, to be told if this rank leaves.
    var openExchange: WindowExchange?

    /// Joins the other ranks.
    ///
    /// - Parameters:
    ///   - communicator: What moves bytes between them; nothing else may use it from now on.
    ///   - timeLimit: How long a rank waits for others before it throws an error with code `processTimeout`, after which
    ///     it can do nothing with them any more; longer than anything takes that one rank does alone, such as saving.
    /// - Throws: `DescentError`, as the communicator does.
    public init(over communicator: any Communicator, timeLimit: Duration = .seconds(1800)) throws(DescentError) {
        self.communicator = communicator
        self.timeLimit = timeLimit
        control = try communicator.openChannel()
        data = try communicator.openChannel()
    }

    /// Waits until all ranks have come here.
    ///
    /// - Throws: `DescentError` with code `processMismatch` if one of them does something else.
    public func barrier() throws(DescentError) { try agree(on: Announcement(.barrier)) }

    /// Gives every rank the tensors that one of them has, such as the parameters that training starts from.
    ///
    /// - Parameters:
    ///   - tensors: What the root has, and the others receive; their layouts have to match.
    ///   - root: The rank that has them.
    /// - Throws: `DescentError` with code `processMismatch` if layouts or element types differ.
    public func broadcast(_ tensors: inout some TensorStorage, from root: Int = 0) throws(DescentError) {
        stopUnless((0..<rankCount).contains(root), "There is no rank \(root) among \(rankCount).")
        var digest = Digest()
        digest.add(tensors.layout)
        digest.add(tensors.elementType.rawValue)
        digest.add(UInt64(root))
        try agree(on: Announcement(.broadcast, digest: digest.value))
        for position in tensors.layout.indices {
            try tensors.withMutableBytes(of: position) { (bytes) throws(DescentError) in
                try broadcast(bytes, from: root)
            }
        }
    }

    /// Leaves the group together with all ranks.
    ///
    /// - Throws: `DescentError` with code `processMismatch` if others go on, which learn of this rank's end.
    public func leave() throws(DescentError) {
        try agree(on: Announcement(.leaving))
        failure = DescentError(.processFailure, "Rank \(rank) has left the group.")
    }

    /// Leaves the group because of an error, of which all other ranks are told when they next agree on something.
    ///
    /// They are not waited for, unless they are about to sum gradients with this rank's.
    public func leave(because error: any Error) {
        openExchange?.abandon(DescentError(.processFailure, "\(error)"))
        tell(Announcement(.leaving, because: error))
        failure = failure ?? DescentError(.processFailure, "Rank \(rank) has left the group: \(error)")
    }

    // MARK: What exchanges are made of

    /// Tells every rank what this one is about to do, and makes sure that they do the same.
    ///
    /// - Throws: `DescentError` with code `processMismatch` if they do not, also where digests differ.
    @discardableResult
    func agree(on announcement: Announcement) throws(DescentError) -> [Announcement] {
        let all = try announce(announcement).wait()
        if let other = all.firstIndex(where: { $0.digest != announcement.digest }) {
            throw DescentError(
                .processMismatch,
                "Rank \(rank) and rank \(other) do not agree as each \(announcement.phrase): layouts and element types have "
                    + "to be the same on all ranks.")
        }
        return all
    }

    /// Begins to tell every rank what this one is about to do.
    func announce(_ announcement: Announcement) throws(DescentError) -> PendingAnnouncements {
        if !unawaited.isEmpty { unawaited.removeAll { (try? $0.isDone) ?? false } }
        let pending = unused ?? PendingAnnouncements(of: self)
        unused = nil
        try pending.begin(announcement, on: control)
        return pending
    }

    /// Keeps what has held announcements for those to come.
    func takeBack(_ pending: PendingAnnouncements) { unused = pending }

    /// Tells every rank something without waiting for what they say.
    func tell(_ announcement: Announcement) {
        // Where this cannot be told, the next call of this rank throws, and others wait for it in vain.
        if rankCount > 1, let announced = try? announce(announcement) { unawaited.append(announced) }
    }

    /// Finishes the group because of an error, which every later call throws.
    func end(_ error: DescentError) -> DescentError {
        failure = failure ?? error
        return error
    }

    /// A number for an exchange, the same on all ranks.
    func numberExchange() -> UInt64 {
        openedExchanges += 1
        return openedExchanges
    }

    /// Gives every rank the bytes of all, which have to be as many on each.
    func gather(_ bytes: [UInt8]) throws(DescentError) -> [[UInt8]] {
        // In memory that stays, because after an error the communicator may still write to it.
        let sent = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 8)
        let received = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count * rankCount, alignment: 8)
        sent.copyBytes(from: bytes)
        received.initializeMemory(as: UInt8.self, repeating: 0)
        try wait(for: beginGathering(UnsafeRawBufferPointer(sent), into: received, on: data))
        defer {
            sent.deallocate()
            received.deallocate()
        }
        return (0..<rankCount).map { Array(received[$0 * bytes.count..<($0 + 1) * bytes.count]) }
    }

    /// Gives every rank some bytes that one of them has, and of which the others know how many there are.
    func broadcast(_ bytes: [UInt8], count: Int, from root: Int) throws(DescentError) -> [UInt8] {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 8)
        defer { memory.deallocate() }
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        if rank == root { memory.copyBytes(from: bytes) }
        try broadcast(memory, from: root)
        return Array(memory)
    }

    /// Gives every rank the bytes of one.
    func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws(DescentError) {
        let portion = min(1 << 26, max(1, bytes.count))
        // A copy, because after an error the communicator may still write to it, and tensors move.
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: portion, alignment: 64)
        for start in stride(from: 0, to: bytes.count, by: portion) {
            let part = UnsafeMutableRawBufferPointer(rebasing: bytes[start..<min(bytes.count, start + portion)])
            let copy = UnsafeMutableRawBufferPointer(rebasing: memory[..<part.count])
            if rank == root { copy.copyMemory(from: UnsafeRawBufferPointer(part)) }
            try wait(for: beginBroadcast(copy, from: root))
            if rank != root { part.copyMemory(from: UnsafeRawBufferPointer(copy)) }
        }
        memory.deallocate()
    }
}

// MARK: Transfers, none of which is begun once the group is finished

extension ProcessGroup {
    private var living: any Communicator {
        get throws(DescentError) {
            if let failure { throw failure }
            return communicator
        }
    }

    func openChannel() throws(DescentError) -> Channel {
        do throws(DescentError) { return try living.openChannel() } catch { throw end(error) }
    }

    func beginExchange(
        _ sent: UnsafeRawBufferPointer, into received: UnsafeMutableRawBufferPointer, on channel: Channel
    ) throws(DescentError) -> Transfer {
        do throws(DescentError) {
            let transfer = try living.beginExchange(sent, into: received, on: channel)
            sentByteCount += sent.count / rankCount * (rankCount - 1)
            return transfer
        } catch { throw end(error) }
    }

    func beginGathering(
        _ sent: UnsafeRawBufferPointer, into received: UnsafeMutableRawBufferPointer, on channel: Channel
    ) throws(DescentError) -> Transfer {
        do throws(DescentError) {
            let transfer = try living.beginGathering(sent, into: received, on: channel)
            sentByteCount += sent.count * (rankCount - 1)
            return transfer
        } catch { throw end(error) }
    }

    private func beginBroadcast(
        _ bytes: UnsafeMutableRawBufferPointer, from root: Int
    ) throws(DescentError) -> Transfer {
        do throws(DescentError) {
            let transfer = try living.beginBroadcast(bytes, from: root, on: data)
            if rank == root { sentByteCount += bytes.count * (rankCount - 1) }
            return transfer
        } catch { throw end(error) }
    }

    func isDone(_ transfer: Transfer) throws(DescentError) -> Bool {
        do throws(DescentError) { return try living.wait(for: transfer, atMost: .zero) } catch { throw end(error) }
    }

    /// Waits for the end of a transfer.
    ///
    /// - Throws: `DescentError` with code `processTimeout` if it takes longer than the limit.
    func wait(for transfer: Transfer) throws(DescentError) {
        do throws(DescentError) {
            if try living.wait(for: transfer, atMost: timeLimit) { return }
        } catch { throw end(error) }
        throw end(
            DescentError(
                .processTimeout,
                "Rank \(rank) has waited for other ranks for \(timeLimit), which is the limit. One of them has thrown, hangs, "
                    + "or is slow: look at what they print, or allow for a larger timeLimit."))
    }
}
