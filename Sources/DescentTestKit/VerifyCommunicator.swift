public import DescentDistributed
public import Testing

/// Checks that `DescentDistributed` can rely on a communicator whose ranks can live in one process; call it in a test of
/// your own.
///
/// ```swift
/// @Test func `training can rely on it`() {
///     verify { try SocketCommunicator.connected(ranks: 3) }
/// }
/// ```
/// Every rule that is broken is an issue of the test at the line of the call, with what was expected and what a rank
/// found. Where every rank is a process, let each of them call ``complaint(about:limit:)``.
///
/// - Parameters:
///   - limit: How long a transfer may take that all ranks have begun. A rank that hangs for three times as long is
///     reported, and left behind on its thread.
///   - sourceLocation: Where issues are reported.
///   - communicators: Makes the communicators of a new job, those of all ranks in their order; called for each rule.
public func verify(
    limit: Duration = .seconds(20), sourceLocation: SourceLocation = #_sourceLocation,
    communicators: () throws -> [any Communicator]
) {
    for (name, violation) in CommunicatorRule.violations(limit: limit, by: communicators) {
        Issue.record(Comment(rawValue: "\(name) \(violation)"), sourceLocation: sourceLocation)
    }
}

/// What is wrong with a communicator, found by all ranks together; nil if nothing is.
///
/// ```swift
/// MPICommunicator.withCommunicator { print(complaint(about: $0) ?? "Training can rely on it.") }
/// ```
/// To be called by every rank of a job; nothing else may use the communicator before or behind it.
///
/// - Parameters:
///   - communicator: This rank's.
///   - limit: How long a transfer may take that all ranks have begun.
/// - Returns: Sentences that name the rule, what is expected, and what this rank found.
public func complaint(about communicator: any Communicator, limit: Duration = .seconds(20)) -> String? {
    for rule in CommunicatorRule.all {
        if let finding = rule.finding(on: communicator, limit: limit) {
            return "\(rule.violation(finding, of: communicator.rankCount))"
        }
    }
    return nil
}

extension CommunicatorRule {
    /// What is wrong by all rules, with the name of the type; those after the first that cannot be made a job for are left
    /// out.
    static func violations(
        limit: Duration, by communicators: () throws -> [any Communicator]
    ) -> [(name: String, Violation)] {
        var violations: [(name: String, Violation)] = []
        for rule in all {
            let ranks: [any Communicator]
            do { ranks = try communicators() } catch {
                return violations + [("A communicator", rule.violation("it cannot be made: \(error)", of: 0))]
            }
            guard let finding = CommunicatorJob.finding(rule, ranks, limit: limit) else { continue }
            violations.append((ranks.first.map { "\(type(of: $0))" } ?? "", rule.violation(finding, of: ranks.count)))
        }
        return violations
    }

    fileprivate func violation(_ finding: String, of rankCount: Int) -> Violation {
        Violation(rule: title, expectation: expectation, finding: finding, example: "a job of \(rankCount) ranks")
    }
}
