import DescentCore
import DescentSIMD

extension Rule where Subject == DescentTestKit.Subject {
    /// That the order of tensors does not matter.
    static var tensorOrder: Rule {
        Rule(
            title: "tensors in another order give the same",
            expectation: """
                What is done to a tensor does not depend on its place in the layout; parameterIndex is for looking up what \
                configure(for:) and prepare(_:) have written down. (Declare .dependsOnTensorOrder if it is meant to.)
                """,
            cases: { subject in
                // The engine itself rounds what is kept in bfloat16 with bits that it makes of a tensor's place.
                subject.declarations.contains(.dependsOnTensorOrder) || subject.roundsAtRandom ? [] : [subject.mixture]
            },
            complaint: { subject, example in
                let agreement = try subject.usesSums(for: example.layout) ? Agreement.closely : .numbers
                let backend = SIMDBackend(threads: 1, blockLength: 16)
                let listed = try Session.trace(of: subject, example, on: backend)
                var reversed = example
                reversed.tensors.reverse()
                var rotated = example
                rotated.tensors.append(rotated.tensors.removeFirst())
                for other in [reversed, rotated] {
                    let trace = try Session.trace(of: subject, other, on: backend)
                    let how = "with tensors in the order " + other.tensors.map(\.name).joined(separator: ", ")
                    if let difference = trace.difference(from: listed, agreement, how, "in the order listed") {
                        return difference
                    }
                }
                return nil
            })
    }
}
