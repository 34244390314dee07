import DescentCore
import DescentSIMD

extension Rule where Subject == DescentTestKit.Subject {
    /// That what a stage measures by itself is the tensor's, and that it only measures.
    static var measuring: Rule {
        Rule(
            title: "what is measured is the tensor's, and stays as it is",
            expectation: """
                measure(_:of:) changes no element, and its numbers of blocks, combined as the measurement says, are those of \
                the tensor however it is cut: a sum of sums, the largest of largest, the norm of norms.
                """,
            cases: { [$0.mixture] },
            complaint: { subject, example in
                func session(_ blockLength: Int) throws -> ProbeLog {
                    var session = try Session(
                        subject, example, on: SIMDBackend(threads: 1, blockLength: blockLength))
                    for step in 0..<example.steps { _ = try session.step(.init(step)) }
                    return session.log
                }
                let whole = try session(SIMDBackend.defaultBlockLength)
                if whole.changesWhatItMeasures { return "measure(_:of:) changes elements" }
                for length in [1, 16] {
                    for (step, numbers) in zip(whole.measured, try session(length).measured).enumerated() {
                        for (found, expected) in zip(numbers.1, numbers.0)
                        where !(abs(found - expected) <= 1e-4 * max(abs(expected), 1e-3)) && found != expected {
                            return "in step \(step) it measures \(expected) of a whole tensor, and \(found) of it in "
                                + "blocks of about \(length) elements"
                        }
                    }
                }
                return nil
            })
    }
}
