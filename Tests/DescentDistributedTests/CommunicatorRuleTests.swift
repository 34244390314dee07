import DescentDistributed
import DescentErrors
import DistributedScenarios
import Synchronization
import Testing

@testable import DescentTestKit

/// That the conformance kit finds what is wrong with a communicator, and nothing where nothing is.
@Suite struct CommunicatorRuleTests {
    @Test(arguments: 1...4)
    func `ranks that are threads keep to every rule`(ranks: Int) {
        verify { ThreadCommunicator.connected(ranks: ranks) }
        var faults = Faults.none
        faults.longestDelay = .milliseconds(2)
        verify { [faults] in ThreadCommunicator.connected(ranks: ranks, faults: faults) }
    }

    @Test(arguments: Defect.allCases)
    func `a communicator that is wrong is told what is wrong with it`(defect: Defect) throws {
        let violations = CommunicatorRule.violations(limit: .milliseconds(defect.hangs ? 300 : 1_000)) {
            BrokenCommunicator.connected(ranks: 3, defect)
        }
        let text = violations.map { "\($0.name) \($0.1)" }.joined(separator: "\n")
        #expect(text.contains(defect.sentence), "\(defect): \(text)")
        #expect(text.hasPrefix("BrokenCommunicator breaks the rule: "))
    }

    @Test func `ranks of processes find it out by themselves`() throws {
        for defect in [nil, Defect.wrongByte] {
            let ranks: [any Communicator] =
                defect.map { BrokenCommunicator.connected(ranks: 2, $0) } ?? ThreadCommunicator.connected(ranks: 2)
            let complaints = ThreadJob.run(on: ranks) { complaint(about: $0) }
            for found in complaints {
                #expect(try found.get().map { $0.contains("byte 0 of what rank") } == defect.map { _ in true })
            }
        }
    }
}

/// What a communicator can do wrong.
enum Defect: CaseIterable {
    case wrongByte, wrongOrder, early, endless, mixesChannels, writesBeyond, changesSent, blocks, readsLate, wrongRank,
        wrongRoot, refusesNothing, loses

    /// Whether a rank hangs that has it.
    var hangs: Bool { self == .endless || self == .blocks || self == .loses }

    /// What the kit says of it.
    var sentence: String {
        switch self {
        case .wrongByte: "byte 0 of what rank 0 receives from rank 0 in an exchange of parts of 1 bytes is"
        case .wrongOrder: "is what rank 2 sent: parts are not in the order of ranks"
        case .early: "wait(for:atMost:) has returned true before what rank"
        case .endless: "has not come back after 0.9 seconds from wait(for:atMost: 0.0 seconds) for an exchange"
        case .mixesChannels: "transfers are matched by their order on their channel"
        case .writesBeyond: "memory beside what was lent has been written to"
        case .changesSent: "lent to be sent has been changed"
        case .blocks: "has not come back after 0.9 seconds from beginning an exchange"
        case .readsLate: "put there once its wait had returned true"
        case .wrongRank: "communicator 0 of 3 says that it is rank 1 of 3"
        case .wrongRoot: "receives from rank 1 in a broadcast of 1 bytes from rank 1"
        case .refusesNothing: "throws communication: no bytes"
        case .loses: "in vain, though all ranks have begun it"
        }
    }
}

/// A communicator that does one thing wrong.
final class BrokenCommunicator: Communicator, @unchecked Sendable {
    // Unchecked because its calls are serialized.
    private let base: ThreadCommunicator
    private let defect: Defect
    private let exposed: Exposed
    private var channels: [Channel] = []
    /// What has ended as it was begun.
    private var ended: Set<Transfer> = []
    /// What was lent, by the transfer.
    private var lent: [Transfer: (sent: UnsafeRawBufferPointer, received: UnsafeMutableRawBufferPointer)] = [:]

    private init(_ base: ThreadCommunicator, _ defect: Defect, _ exposed: Exposed) {
        (self.base, self.defect, self.exposed) = (base, defect, exposed)
    }

    static func connected(ranks: Int, _ defect: Defect) -> [BrokenCommunicator] {
        let exposed = Exposed()
        return ThreadCommunicator.connected(ranks: ranks).map { BrokenCommunicator($0, defect, exposed) }
    }

    var rank: Int { defect == .wrongRank ? (base.rank + 1) % base.rankCount : base.rank }
    var rankCount: Int { base.rankCount }

    func openChannel() throws(DescentError) -> Channel {
        if defect != .mixesChannels || channels.isEmpty { channels.append(try base.openChannel()) }
        return channels[channels.count - 1]
    }

    func beginExchange(
        _ sent: UnsafeRawBufferPointer, into received: UnsafeMutableRawBufferPointer, on channel: Channel
    ) throws(DescentError) -> Transfer {
        if defect == .refusesNothing, sent.isEmpty { throw DescentError(.communication, "no bytes") }
        let transfer = try base.beginExchange(sent, into: received, on: channel)
        lent[transfer] = (sent, received)
        if defect == .blocks, try base.wait(for: transfer, atMost: .seconds(3)) { ended.insert(transfer) }
        return transfer
    }

    func beginGathering(
        _ sent: UnsafeRawBufferPointer, into received: UnsafeMutableRawBufferPointer, on channel: Channel
    ) throws(DescentError) -> Transfer {
        let transfer = try base.beginGathering(sent, into: received, on: channel)
        lent[transfer] = (sent, received)
        exposed.note(sent, of: rank)
        return transfer
    }

    func beginBroadcast(
        _ bytes: UnsafeMutableRawBufferPointer, from root: Int, on channel: Channel
    ) throws(DescentError) -> Transfer {
        try base.beginBroadcast(bytes, from: defect == .wrongRoot ? 0 : root, on: channel)
    }

    func wait(for transfer: Transfer, atMost limit: Duration) throws(DescentError) -> Bool {
        switch defect {
        case .early: return true
        case .blocks where ended.remove(transfer) != nil: break
        case .endless: if try !base.wait(for: transfer, atMost: .seconds(3)) { return false }
        case .loses: return false
        default: if try !base.wait(for: transfer, atMost: limit) { return false }
        }
        if let (sent, received) = lent.removeValue(forKey: transfer) { spoil(sent, received) }
        return true
    }

    private func spoil(_ sent: UnsafeRawBufferPointer, _ received: UnsafeMutableRawBufferPointer) {
        guard !received.isEmpty, let start = received.baseAddress else { return }
        switch defect {
        case .wrongByte: received[0] ^= 1
        case .wrongOrder:
            let (size, copy) = (received.count / rankCount, Array(received))
            for part in 0..<rankCount {
                let other = (rankCount - 1 - part) * size
                UnsafeMutableRawBufferPointer(rebasing: received[part * size..<(part + 1) * size])
                    .copyBytes(from: copy[other..<other + size])
            }
        case .writesBeyond: (start + received.count).storeBytes(of: 0, as: UInt8.self)
        case .changesSent: UnsafeMutableRawBufferPointer(mutating: sent)[0] ^= 1
        case .readsLate: exposed.read(received, rankCount)
        default: break
        }
    }
}

/// The memory of all ranks, which a communicator of threads could read when it likes.
private final class Exposed: Sendable {
    /// What a rank has lent to be sent in the rule about what may be changed; in no other are parts as long as there.
    private struct Lent: @unchecked Sendable {
        // Unchecked because the rule keeps the memory until all ranks have come to their ends.
        let bytes: UnsafeRawBufferPointer
    }

    private static let size = 200
    private let lent = Mutex<[Int: Lent]>([:])

    func note(_ sent: UnsafeRawBufferPointer, of rank: Int) {
        guard sent.count == Self.size else { return }
        let sent = Lent(bytes: sent)
        lent.withLock { $0[rank] = sent }
    }

    func read(_ received: UnsafeMutableRawBufferPointer, _ rankCount: Int) {
        guard received.count == Self.size * rankCount else { return }
        for (rank, sent) in lent.withLock({ $0 }) {
            UnsafeMutableRawBufferPointer(rebasing: received[rank * Self.size..<(rank + 1) * Self.size])
                .copyMemory(from: sent.bytes)
        }
    }
}
