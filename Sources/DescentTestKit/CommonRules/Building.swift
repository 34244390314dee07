import DescentCore
import DescentSIMD

extension Rule where Subject == DescentTestKit.Subject {
    /// That a pipeline can be built for any layout, and takes a step.
    static var building: Rule {
        Rule(
            title: "a pipeline can be built for tensors of any shape",
            expectation: """
                configure(for:) refuses settings, with a DescentError, and no shapes: scalars, vectors, empty tensors and \
                units that are the last dimension are ordinary. (A stage that insists on names of parameters is given \
                them by verify(_:parameterNames:).)
                """,
            cases: { subject in
                var transposed = subject.example([[6, 4], [4]], steps: 1)
                transposed.tensors[0].outputAxis = .last
                return [
                    subject.example([[6, 4], [6]], steps: 1), subject.example([[], [1]], steps: 1),
                    subject.example([[0, 3], [2, 0], [0]], steps: 1), transposed,
                ]
            },
            complaint: { subject, example in
                do {
                    _ = try Session.trace(of: subject, example, on: SIMDBackend(threads: 1))
                    return nil
                } catch let error as UnsuitableCase {
                    return "no pipeline can be built: \(error.reason)"
                }
            },
            isFundamental: true)
    }
}
