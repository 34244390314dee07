import DescentCore
import DescentSIMD

extension Rule where Subject == DescentTestKit.Subject {
    /// That another backend gives the same results, if the author names one.
    static var otherBackend: Rule {
        Rule(
            title: "another backend gives the same results",
            expectation: """
                transform(_:) and update(_:) use a block as GradientBlock and UpdateBlock describe it: a backend may cut \
                tensors into other blocks, keep rows in copies, and round sums in another way.
                """,
            cases: { $0.backend == nil ? [] : [$0.mixture] },
            complaint: { subject, example in
                guard let backend = subject.backend else { return nil }
                let usual = try Session.trace(of: subject, example, on: SIMDBackend(threads: 1))
                for isStreamed in [false, true] {
                    let other = try trace(of: subject, example, on: backend, isStreamed: isStreamed)
                    let how = "over \(type(of: backend))" + (isStreamed ? ", where gradients arrive one by one" : "")
                    if let difference = other.difference(from: usual, .closely, how, "over SIMDBackend") {
                        return difference
                    }
                }
                return nil
            })
    }

    private static func trace<Backend: TensorBackend>(
        of subject: Subject, _ example: Case, on backend: Backend, isStreamed: Bool
    ) throws -> Trace {
        try Session.trace(of: subject, example, on: backend, .init(isStreamed: isStreamed))
    }
}
