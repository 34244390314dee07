import DescentDistributed
import Foundation

/// The ranks of a job that is verified, each on a thread of its own.
final class CommunicatorJob: @unchecked Sendable {
    // Unchecked because the condition guards all that changes.
    private let condition = NSCondition()
    /// What each rank was last about to do.
    private var doings: [String]
    /// What each rank has found, once it has come to its end; an empty text if nothing is wrong.
    private var findings: [String?]

    private init(rankCount: Int) {
        doings = Array(repeating: "", count: rankCount)
        findings = Array(repeating: nil, count: rankCount)
    }

    /// What is wrong by a rule; nil if nothing is.
    ///
    /// - Parameters:
    ///   - rule: The rule.
    ///   - communicators: All ranks.
    ///   - limit: How long a transfer may take.
    /// - Returns: What is wrong, in words.
    static func finding(_ rule: CommunicatorRule, _ communicators: [any Communicator], limit: Duration) -> String? {
        for (rank, communicator) in communicators.enumerated()
        where communicator.rank != rank || communicator.rankCount != communicators.count {
            return "communicator \(rank) of \(communicators.count) says that it is rank \(communicator.rank) of "
                + "\(communicator.rankCount)"
        }
        let job = CommunicatorJob(rankCount: communicators.count)
        for (rank, communicator) in communicators.enumerated() {
            Thread { job.note(rule.finding(on: communicator, limit: limit) { job.isAbout(to: $0, rank) }, of: rank) }
                .start()
        }
        // A rank that hangs stays behind.
        return job.finding(within: limit * 3)
    }

    private func isAbout(to doing: String, _ rank: Int) { condition.withLock { doings[rank] = doing } }

    private func note(_ finding: String?, of rank: Int) {
        condition.withLock {
            findings[rank] = finding ?? ""
            condition.broadcast()
        }
    }

    /// Where a rank hangs, or what the first one has found that has found anything.
    private func finding(within limit: Duration) -> String? {
        condition.lock()
        defer { condition.unlock() }
        let end = Date(timeIntervalSinceNow: limit / .seconds(1))
        while findings.contains(where: { $0 == nil }), condition.wait(until: end) {}
        if let hanging = findings.firstIndex(of: nil) {
            // What others have waited for in vain is because of it.
            return "rank \(hanging) has not come back after \(limit) from \(doings[hanging])"
        }
        return findings.compactMap { $0 }.first { !$0.isEmpty }
    }
}

extension CommunicatorRule {
    /// What one rank finds; nil if nothing is wrong.
    func finding(
        on communicator: any Communicator, limit: Duration, _ note: @escaping @Sendable (String) -> Void = { _ in }
    ) -> String? {
        do {
            return try complaint(RankTrial(communicator, limit: limit, note))
        } catch {
            return "rank \(communicator.rank) throws \(error)"
        }
    }
}
