import DescentCore
import DescentSIMD

extension Rule where Subject == DescentTestKit.Subject {
    /// That a stage does the same in each sweep, whatever stands around it.
    static var sweeps: Rule {
        Rule(
            title: "a stage does the same in every sweep",
            expectation: """
                transform(_:) runs in a step as often as there are sweeps, and must do the same each time: the norm that a \
                later stage is told is that of what leaves the stage in the last sweep. What it needs is decided once, in \
                prepare(_:).
                """,
            cases: { [$0.mixture] },
            complaint: { subject, example in
                var session = try Session(
                    subject, example, on: SIMDBackend(threads: 1, blockLength: 16),
                    .init(earlier: [LateHalf()], later: [NormWitness()]))
                for index in 0..<example.steps {
                    let step = try session.step(.init(index))
                    guard let report = step.outcome.report, let gradient = step.gradient else { continue }
                    guard let told = report.norms.first(where: { $0.stage == NormWitness().name })?.before
                    else { continue }
                    var combiner = Norm.Combiner(.l2)
                    for elements in gradient {
                        for element in elements { combiner.add(Double(element.magnitude)) }
                    }
                    let norm = combiner.value
                    if !((told - norm).magnitude <= 1e-4 * max(told, norm)) {
                        return
                            "in step \(index + 1) the norm of the gradient behind it was measured as \(told), and what "
                            + "then left it has \(norm)"
                    }
                }
                return nil
            })
    }
}
