import DescentCore
import DescentSIMD

extension Rule where Subject == DescentTestKit.Subject {
    /// That a stage reads what it declares.
    static var statistics: Rule {
        Rule(
            title: "declared statistics are the ones used",
            expectation: """
                All that is read of step.incoming is in requirements, or in observations if it is read in finish(_:) alone; \
                and nothing is there that is never read, because it may cost a sweep over all gradients.
                """,
            cases: { [$0.example([[4, 3], [5]], steps: 40)] },
            complaint: { subject, example in
                guard var transform = subject.transform else { return nil }
                var session = try Session(subject, example, on: SIMDBackend(threads: 1))
                for step in 0..<example.steps { _ = try session.step(.init(step)) }
                let notes = session.log.audit.notes
                if let undeclared = notes.undeclared.sortedByName.first {
                    return "it reads \(undeclared), which it does not declare"
                }
                try transform.configure(for: try example.layout)
                let unread = Set(transform.requirements + transform.observations).subtracting(notes.declared)
                guard let unread = unread.filter(\.isRead).sortedByName.first else { return nil }
                return "it declares \(unread), and never reads that in \(example.steps) steps"
            },
            isFundamental: true, shrinks: false)
    }
}

extension Sequence<Requirement> {
    fileprivate var sortedByName: [Requirement] { sorted { $0.description < $1.description } }
}

extension Requirement {
    /// Whether there is something to read about it.
    fileprivate var isRead: Bool {
        switch self {
        case .norm, .nonFiniteCount, .count, .parameterNorm, .dotProduct, .measured: true
        case .finite, .parameters, .gradient: false
        }
    }
}
