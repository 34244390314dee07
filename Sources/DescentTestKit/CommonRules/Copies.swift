import DescentCore
import DescentSIMD

extension Rule where Subject == DescentTestKit.Subject {
    /// That values are values.
    static var copies: Rule {
        Rule(
            title: "a copy is independent, and the same steps give the same bits",
            expectation: """
                It is a value: what it remembers is in stored properties and slots, nothing is kept in an object, a global \
                or a capture that copies share, and random numbers are made from a seed, the step and the place alone.
                """,
            cases: { [$0.mixture] },
            complaint: { subject, example in
                let backend = SIMDBackend(threads: 1, blockLength: 16)
                let undisturbed = try Session.trace(of: subject, example, on: backend)
                var session = try Session(subject, example, on: backend)
                var steps: [Trace.Step] = []
                for step in 0..<example.steps {
                    var copy = session
                    for other in 0..<2 { _ = try copy.step(.init(100 + other)) }
                    steps.append(try session.step(.init(step)))
                }
                return Trace(steps: steps).difference(
                    from: undisturbed, .bits, "where a copy has taken other steps", "where it has not")
            },
            isFundamental: true)
    }
}
