public import DescentDistributed
public import DescentErrors
import Foundation
import SeededNumbers

/// Ranks that are threads of one process, and whose messages are late, lost, or not sent as faults have it.
///
/// It is strict about what ranks rely on communicators for: a rank that begins something else than another has, or in
/// other sizes, throws an error of code ``wrongOrder``.
public final class ThreadCommunicator: Communicator, @unchecked Sendable {
    /// A rank has begun transfers in an order that is not that of the others: a mistake in what is tested.
    static let wrongOrder = DescentError.Code("wrongOrder")
    /// A rank has been told to stop.
    static let death = DescentError.Code("death")

    /// A transfer that has not ended.
    private struct Pending {
        let place: ThreadNetwork.Place
        let kind: String
        /// Where what each rank sends is to be written.
        var missing: [Int: UnsafeMutableRawBufferPointer]
    }

    // Unchecked because its calls are serialized, and what ranks share is guarded by a lock.
    private let network: ThreadNetwork
    public let rank: Int
    public var rankCount: Int { network.rankCount }
    private var nextTransfers: [Int] = []
    private var pending: [Int: Pending] = [:]
    private var begun = 0
    private var calls = 0

    /// The ranks of a new job.
    public static func connected(ranks: Int, faults: Faults = .none) -> [ThreadCommunicator] {
        let network = ThreadNetwork(rankCount: ranks, faults: faults)
        return (0..<ranks).map { ThreadCommunicator(network, rank: $0) }
    }

    private init(_ network: ThreadNetwork, rank: Int) { (self.network, self.rank) = (network, rank) }

    public func openChannel() throws(DescentError) -> Channel {
        try live()
        nextTransfers.append(0)
        return Channel(nextTransfers.count - 1)
    }

    public func beginExchange(
        _ sent: UnsafeRawBufferPointer, into received: UnsafeMutableRawBufferPointer, on channel: Channel
    ) throws(DescentError) -> Transfer {
        let (place, size) = (try begin(on: channel), sent.count / rankCount)
        for other in 0..<rankCount {
            network.send(Array(sent[other * size..<(other + 1) * size]), "exchange", to: other, from: rank, place)
        }
        return receive(parts(of: received, size), "exchange", at: place)
    }

    public func beginGathering(
        _ sent: UnsafeRawBufferPointer, into received: UnsafeMutableRawBufferPointer, on channel: Channel
    ) throws(DescentError) -> Transfer {
        let place = try begin(on: channel)
        for other in 0..<rankCount { network.send(Array(sent), "gathering", to: other, from: rank, place) }
        return receive(parts(of: received, sent.count), "gathering", at: place)
    }

    public func beginBroadcast(
        _ bytes: UnsafeMutableRawBufferPointer, from root: Int, on channel: Channel
    ) throws(DescentError) -> Transfer {
        let (place, kind) = (try begin(on: channel), "broadcast from \(root)")
        guard rank == root else { return receive([root: bytes], kind, at: place) }
        for other in 0..<rankCount where other != root {
            network.send(Array(bytes), kind, to: other, from: rank, place)
        }
        return receive([:], kind, at: place)
    }

    public func wait(for transfer: Transfer, atMost limit: Duration) throws(DescentError) -> Bool {
        try live()
        let end = ContinuousClock.now + limit
        guard var waiting = pending[transfer.number] else {
            throw DescentError(Self.wrongOrder, "Rank \(rank) waits for a transfer that has ended.")
        }
        for (other, memory) in waiting.missing.sorted(by: { $0.key < $1.key }) {
            guard let message = network.receive(from: other, to: rank, waiting.place, until: end) else {
                pending[transfer.number] = waiting
                return false
            }
            guard message.kind == waiting.kind, message.bytes.count == memory.count else {
                throw DescentError(
                    Self.wrongOrder,
                    "Rank \(other) has begun \(message.kind) of \(message.bytes.count) bytes, and rank \(rank) "
                        + "\(waiting.kind) of \(memory.count).")
            }
            memory.copyBytes(from: message.bytes)
            waiting.missing[other] = nil
        }
        pending[transfer.number] = nil
        return true
    }

    private func parts(
        of memory: UnsafeMutableRawBufferPointer, _ size: Int
    ) -> [Int: UnsafeMutableRawBufferPointer] {
        var parts: [Int: UnsafeMutableRawBufferPointer] = [:]
        for other in 0..<rankCount {
            parts[other] = UnsafeMutableRawBufferPointer(rebasing: memory[other * size..<(other + 1) * size])
        }
        return parts
    }

    private func begin(on channel: Channel) throws(DescentError) -> ThreadNetwork.Place {
        try live()
        defer { nextTransfers[channel.number] += 1 }
        return ThreadNetwork.Place(channel: channel.number, transfer: nextTransfers[channel.number])
    }

    private func receive(
        _ missing: [Int: UnsafeMutableRawBufferPointer], _ kind: String, at place: ThreadNetwork.Place
    ) -> Transfer {
        defer { begun += 1 }
        pending[begun] = Pending(place: place, kind: kind, missing: missing)
        return Transfer(begun)
    }

    /// Throws from the call on that the rank dies at.
    private func live() throws(DescentError) {
        defer { calls += 1 }
        if let death = network.faults.death, death.rank == rank, calls >= death.call {
            throw DescentError(Self.death, "Rank \(rank) is dead.")
        }
    }
}

/// What is between ranks that are threads.
final class ThreadNetwork: @unchecked Sendable {
    /// Which transfer a message belongs to.
    struct Place: Hashable {
        let channel: Int
        let transfer: Int
    }

    struct Message {
        let bytes: [UInt8]
        let kind: String
        let arrival: ContinuousClock.Instant
    }

    private struct Address: Hashable {
        let place: Place
        let from: Int
        let to: Int
    }

    // Unchecked because all that changes is guarded by the condition.
    let rankCount: Int
    let faults: Faults
    private let condition = NSCondition()
    private var generator: SeededGenerator
    private var sentCount = 0
    private var messages: [Address: Message] = [:]

    init(rankCount: Int, faults: Faults) {
        (self.rankCount, self.faults) = (rankCount, faults)
        generator = SeededGenerator(seed: faults.seed)
    }

    func send(_ bytes: [UInt8], _ kind: String, to other: Int, from rank: Int, _ place: Place) {
        condition.lock()
        defer { condition.unlock() }
        var arrival = ContinuousClock.now
        if other != rank {
            defer { sentCount += 1 }
            if sentCount == faults.lostMessage { return }
            arrival += faults.delay(of: bytes.count, &generator)
        }
        messages[Address(place: place, from: rank, to: other)] = Message(bytes: bytes, kind: kind, arrival: arrival)
        condition.broadcast()
    }

    /// Waits for a message; nil if it has not arrived in time.
    func receive(from other: Int, to rank: Int, _ place: Place, until end: ContinuousClock.Instant) -> Message? {
        let address = Address(place: place, from: other, to: rank)
        condition.lock()
        defer { condition.unlock() }
        while true {
            let now = ContinuousClock.now
            let message = messages[address]
            if let message, message.arrival <= now {
                messages[address] = nil
                return message
            }
            if now >= end { return nil }
            let next = min(end, message?.arrival ?? end)
            _ = condition.wait(until: Date(timeIntervalSinceNow: max((next - now) / .seconds(1), 1e-6)))
        }
    }
}

/// A job whose ranks are threads of this process.
public enum ThreadJob {
    /// Runs a body as each of some ranks, and leaves the job as `MPICommunicator.withWorld` does.
    ///
    /// - Parameters:
    ///   - ranks: How many.
    ///   - timeLimit: How long a rank waits for others.
    ///   - faults: What goes wrong.
    ///   - body: What each rank does.
    /// - Returns: For each rank what the body has returned, or the error.
    public static func run<Value: Sendable>(
        ranks: Int, timeLimit: Duration = .seconds(60), faults: Faults = .none,
        _ body: @escaping @Sendable (ProcessGroup) throws -> Value
    ) -> [Result<Value, any Error>] {
        run(on: ThreadCommunicator.connected(ranks: ranks, faults: faults)) { communicator in
            let group = try ProcessGroup(over: communicator, timeLimit: timeLimit)
            do {
                let value = try body(group)
                try group.leave()
                return value
            } catch {
                group.leave(because: error)
                throw error
            }
        }
    }

    /// Runs a body for each of some communicators, on a thread of its own.
    public static func run<Value: Sendable>(
        on communicators: [any Communicator], _ body: @escaping @Sendable (any Communicator) throws -> Value
    ) -> [Result<Value, any Error>] {
        let results = Endings<Value>()
        let done = DispatchGroup()
        for communicator in communicators {
            done.enter()
            let thread = Thread {
                results.note(Result { try body(communicator) }, of: communicator.rank)
                done.leave()
            }
            thread.stackSize = 4 << 20
            thread.start()
        }
        done.wait()
        return results.inOrder
    }

    /// How ranks have ended, noted by their threads.
    private final class Endings<Value>: @unchecked Sendable {
        // Unchecked because the lock guards what it holds.
        private let lock = NSLock()
        private var results: [Int: Result<Value, any Error>] = [:]

        func note(_ result: Result<Value, any Error>, of rank: Int) { lock.withLock { results[rank] = result } }

        var inOrder: [Result<Value, any Error>] {
            lock.withLock { results.sorted { $0.key < $1.key }.map(\.value) }
        }
    }
}
