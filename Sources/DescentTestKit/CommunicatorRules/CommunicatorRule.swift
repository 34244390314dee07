import DescentDistributed
import SeededNumbers

/// Something that training on several machines relies on, and how each rank finds out whether it holds.
struct CommunicatorRule: Sendable {
    let title: String
    /// What is expected of the author, in a sentence or two.
    let expectation: String
    /// Run by all ranks together: says what is wrong, or nil if nothing is; what it throws is wrong as well.
    let complaint: @Sendable (RankTrial) throws -> String?

    /// All rules, those first without which others mean nothing.
    static let all: [CommunicatorRule] = [numbers, bytes, order, beginnings, progress, memory]

    private static let numbers = CommunicatorRule(
        title: "ranks are numbered from 0",
        expectation: "rank lies between 0 and rankCount - 1, and rankCount is the same on all ranks.",
        complaint: { rank in
            guard (0..<rank.rankCount).contains(rank.rank) else {
                return "a communicator says that it is rank \(rank.rank) of \(rank.rankCount)"
            }
            return nil
        })

    private static let bytes = CommunicatorRule(
        title: "bytes arrive as they were sent, from the rank that sent them",
        expectation: """
            Parts lie in the order of ranks, on whatever address memory begins; parts of no bytes are ordinary; memory \
            beside what is lent is not touched, and what is sent is not changed.
            """,
        complaint: { rank in
            var number = 0
            for size in [0, 1, 7, 64, 1_000, 70_001] {
                let broadcasts = (0..<rank.rankCount).map { TrialTransfer.Kind.broadcast(root: $0) }
                let kinds = [.exchange, .gathering] + broadcasts
                for kind in kinds {
                    number += 1
                    if let found = try rank.run(TrialTransfer(kind: kind, size: size, number: number)) { return found }
                }
            }
            return nil
        })

    private static let order = CommunicatorRule(
        title: "transfers are matched by their order on their channel",
        expectation: """
            Ranks begin the transfers of a channel in the same order, those of different channels in orders of their own, \
            several before the first has ended, and wait for them in any order.
            """,
        complaint: { rank in
            for seed in 0..<12 {
                var shared = SeededGenerator(seed: UInt64(seed))
                var own = SeededGenerator(seed: UInt64(1_000 * (seed + 1) + rank.rank))
                var queues: [[TrialTransfer]] = (0..<2).map { channel in
                    (0..<5).map { number in
                        let root = Int.random(in: 0..<rank.rankCount, using: &shared)
                        let kind = [.exchange, .gathering, TrialTransfer.Kind.broadcast(root: root)]
                        return TrialTransfer(
                            kind: kind[Int.random(in: 0..<3, using: &shared)],
                            size: Int.random(in: 0...300, using: &shared), number: 10 * seed + 5 * channel + number)
                    }
                }
                var begun: [TransferUnderWay] = []
                while let channel = queues.indices.filter({ !queues[$0].isEmpty }).randomElement(using: &own) {
                    begun.append(try rank.begin(queues[channel].removeFirst(), on: channel))
                }
                for transfer in begun.shuffled(using: &own) {
                    if let found = try rank.finish(transfer) { return found }
                }
            }
            return nil
        })

    private static let beginnings = CommunicatorRule(
        title: "beginning waits for nobody, and waiting no longer than it may",
        expectation: """
            A rank begins transfers before others do, asks for their ends in vain, and has wait(for:atMost:) return false \
            when the limit is over. Once the others have begun, it ends as ever.
            """,
        complaint: { rank in
            for early in Set([0, rank.rankCount - 1]).sorted() where rank.rankCount > 1 {
                let trial = TrialTransfer(kind: .exchange, size: 100, number: early)
                let signal = TrialTransfer(kind: .gathering, size: 1, number: 40 + early)
                if rank.rank != early {
                    // Once this has ended, the early rank has waited in vain.
                    if let found = try rank.run(signal, on: 1) { return found }
                    if let found = try rank.run(trial) { return found }
                    continue
                }
                let transfer = try rank.begin(trial)
                for limit in [Duration.zero, .milliseconds(30)] {
                    rank.note("wait(for:atMost: \(limit)) for \(trial), which no other rank has begun")
                    let start = ContinuousClock.now
                    if try transfer.wait(atMost: limit) {
                        return transfer.complaint
                            ?? "wait(for:atMost:) has returned true for \(trial), which no other rank had begun"
                    }
                    let taken = ContinuousClock.now - start
                    guard taken < limit + rank.limit else { return "wait(for:atMost: \(limit)) has taken \(taken)" }
                }
                if let found = try rank.run(signal, on: 1) { return found }
                if let found = try rank.finish(transfer) { return found }
            }
            return nil
        })

    private static let progress = CommunicatorRule(
        title: "transfers move on while another is waited for",
        expectation: """
            A rank that waits for one transfer lets others on their way come to their ends, which other ranks wait for \
            before they begin the one that it waits for.
            """,
        complaint: { rank in
            let first = try rank.begin(TrialTransfer(kind: .exchange, size: 40_000, number: 1))
            let second = TrialTransfer(kind: .gathering, size: 10, number: 2)
            if rank.rank == 0 {
                return try rank.run(second, on: 1) ?? rank.finish(first)
            }
            return try rank.finish(first) ?? rank.run(second, on: 1)
        })

    private static let memory = CommunicatorRule(
        title: "what has been sent may be changed once the wait is over",
        expectation: """
            When wait(for:atMost:) has returned true, nothing is read any more of what this rank lent, though others may yet \
            have to wait for it.
            """,
        complaint: { rank in
            let sent = try rank.begin(TrialTransfer(kind: .gathering, size: 200, number: 1))
            let signal = TrialTransfer(kind: .gathering, size: 1, number: 2)
            let end = TrialTransfer(kind: .gathering, size: 1, number: 3)
            if rank.rank == 0 {
                if let found = try rank.finish(sent) { return found }
                sent.changeSent()
                return try rank.run(signal, on: 1) ?? rank.run(end)
            }
            let found = try rank.run(signal, on: 1) ?? rank.finish(sent)
            // Until all have come here no memory goes back to the system.
            return try rank.run(end) ?? found
        })
}
