import DescentDistributed
import DescentErrors

/// A transfer whose bytes say who has sent them.
struct TrialTransfer: Sendable {
    enum Kind: Sendable, Hashable {
        case exchange
        case gathering
        case broadcast(root: Int)
    }

    let kind: Kind
    /// How many bytes a part has.
    let size: Int
    /// Which of a trial's transfers it is, so that no two have the same bytes.
    let number: Int

    /// What a rank sends to another.
    func bytes(from rank: Int, to other: Int) -> [UInt8] {
        let place = kind == .exchange ? other : 0
        return (0..<size).map { UInt8(truncatingIfNeeded: 31 * number + 67 * rank + 17 * place + 7 * $0 + $0 / 251) }
    }

    /// The ranks that something is received from, in the order of the parts.
    func senders(of rankCount: Int) -> [Int] {
        if case .broadcast(let root) = kind { return [root] }
        return Array(0..<rankCount)
    }
}

extension TrialTransfer: CustomStringConvertible {
    var description: String {
        switch kind {
        case .exchange: "an exchange of parts of \(size) bytes"
        case .gathering: "a gathering of parts of \(size) bytes"
        case .broadcast(let root): "a broadcast of \(size) bytes from rank \(root)"
        }
    }
}

/// A transfer on its way on one rank, and the memory that is lent for it.
final class TransferUnderWay {
    private static let fillByte: UInt8 = 0xee
    private static let changeByte: UInt8 = 0xa5
    /// How many bytes lie before and behind memory that is lent, which is not aligned either.
    private static let margin = 13

    let trial: TrialTransfer
    private let communicator: any Communicator
    private let sent: UnsafeMutableRawBufferPointer
    private let received: UnsafeMutableRawBufferPointer
    private let transfer: Transfer
    private let contents: [UInt8]
    /// Whether the memory is the caller's again.
    private(set) var hasEnded = false

    /// Begins it.
    ///
    /// - Throws: What the communicator throws.
    init(
        _ trial: TrialTransfer, over communicator: any Communicator, on channel: Channel
    ) throws(DescentError) {
        (self.trial, self.communicator) = (trial, communicator)
        let (rank, rankCount) = (communicator.rank, communicator.rankCount)
        switch trial.kind {
        case .exchange: contents = (0..<rankCount).flatMap { trial.bytes(from: rank, to: $0) }
        case .gathering: contents = trial.bytes(from: rank, to: 0)
        case .broadcast(let root): contents = rank == root ? trial.bytes(from: root, to: 0) : []
        }
        sent = Self.memory(contents)
        if case .broadcast(let root) = trial.kind {
            received = Self.memory(
                rank == root ? contents : [UInt8](repeating: Self.fillByte, count: trial.size))
        } else {
            received = Self.memory([UInt8](repeating: Self.fillByte, count: trial.size * rankCount))
        }
        let (sent, received) = (UnsafeRawBufferPointer(Self.lent(sent)), Self.lent(received))
        switch trial.kind {
        case .exchange: transfer = try communicator.beginExchange(sent, into: received, on: channel)
        case .gathering: transfer = try communicator.beginGathering(sent, into: received, on: channel)
        case .broadcast(let root): transfer = try communicator.beginBroadcast(received, from: root, on: channel)
        }
    }

    deinit {
        guard hasEnded else { return }
        sent.deallocate()
        received.deallocate()
    }

    /// Waits for the end.
    ///
    /// - Throws: What the communicator throws.
    func wait(atMost limit: Duration) throws(DescentError) -> Bool {
        hasEnded = try communicator.wait(for: transfer, atMost: limit)
        return hasEnded
    }

    /// Changes what was sent, once it has ended.
    func changeSent() { Self.lent(sent).initializeMemory(as: UInt8.self, repeating: Self.changeByte) }

    /// What is wrong once it has ended; nil if nothing is.
    var complaint: String? {
        for memory in [sent, received] {
            let margins = [memory.prefix(Self.margin), memory.suffix(Self.margin)]
            if margins.contains(where: { $0.contains { $0 != Self.fillByte } }) {
                return "memory beside what was lent has been written to, in \(trial)"
            }
        }
        if trial.kind == .exchange || trial.kind == .gathering, !Self.lent(sent).elementsEqual(contents) {
            return "what rank \(communicator.rank) lent to be sent has been changed, in \(trial)"
        }
        let parts = Self.lent(received)
        for (index, sender) in trial.senders(of: communicator.rankCount).enumerated() {
            let part = Array(parts[index * trial.size..<(index + 1) * trial.size])
            if let complaint = complaint(about: part, from: sender) { return complaint }
        }
        return nil
    }

    private func complaint(about part: [UInt8], from sender: Int) -> String? {
        let rank = communicator.rank
        let expected = trial.bytes(from: sender, to: rank)
        guard let index = expected.indices.first(where: { part[$0] != expected[$0] }) else { return nil }
        let what = "rank \(rank) receives from rank \(sender) in \(trial)"
        if part.allSatisfy({ $0 == Self.fillByte }) {
            return "wait(for:atMost:) has returned true before what \(what) was there"
        }
        if part.allSatisfy({ $0 == Self.changeByte }) {
            return "what \(what) is what rank \(sender) put there once its wait had returned true"
        }
        for other in 0..<communicator.rankCount where other != sender && part == trial.bytes(from: other, to: rank) {
            return "what \(what) is what rank \(other) sent: parts are not in the order of ranks"
        }
        for other in 0..<communicator.rankCount where other != rank && part == trial.bytes(from: sender, to: other) {
            return "what \(what) was sent to rank \(other)"
        }
        return "byte \(index) of what \(what) is \(part[index]), and should be \(expected[index])"
    }

    private static func memory(_ contents: [UInt8]) -> UnsafeMutableRawBufferPointer {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: contents.count + 2 * margin, alignment: 16)
        memory.initializeMemory(as: UInt8.self, repeating: fillByte)
        lent(memory).copyBytes(from: contents)
        return memory
    }

    private static func lent(_ memory: UnsafeMutableRawBufferPointer) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: memory[margin..<memory.count - margin])
    }
}
