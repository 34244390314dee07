import DescentCore
import DescentSIMD

extension Rule where Subject == DescentTestKit.Subject {
    /// That no shape is a special case.
    static var shapes: Rule {
        Rule(
            title: "empty, rank-0, one-element and huge-row tensors are ordinary",
            expectation: """
                Finite gradients of any shape give finite results: a mean over one element, a row of one column, a tensor \
                without elements are all possible.
                """,
            cases: { subject in
                let shapes: [[[Int]]] = [
                    [[]], [[1], [1, 1]], [[0], [4, 0], [3]], [[2, 3_000]], [[5, 1], [1, 5]],
                ]
                return shapes.flatMap { shapes in
                    [Numbers.normal, .ones].map { subject.example(shapes, steps: 2, numbers: $0) }
                }
            },
            complaint: { subject, example in
                let trace = try Session.trace(of: subject, example, on: SIMDBackend(threads: 1, blockLength: 256))
                for step in trace.steps {
                    if case .skipped(let reason) = step.outcome, reason.code != .vetoed { return "\(reason)" }
                    if let element = step.element(where: { !$0.isFinite }) { return element }
                }
                return nil
            })
    }

    /// That finite numbers of any magnitude make no NaN.
    static var magnitudes: Rule {
        Rule(
            title: "finite gradients of any magnitude make no NaN",
            expectation: """
                Zero, subnormal and huge gradients give numbers, if need be infinite ones: nothing is divided by a norm, a \
                deviation or a maximum that may be 0 without an epsilon or a condition. (Declare .makesNaN if it cannot be \
                helped.)
                """,
            cases: { subject in
                if subject.declarations.contains(.makesNaN) { return [] }
                let shapes = [[4, 5], [6], [], [2, 2, 2]]
                return [
                    subject.example(shapes, steps: 3, numbers: .zero),
                    subject.example(shapes, steps: 3, numbers: .subnormal),
                    // Infinities of several steps may well cancel out to NaN.
                    subject.example(shapes, steps: 1, numbers: .huge),
                    subject.example(shapes, steps: 1, numbers: .mixed),
                ]
            },
            complaint: { subject, example in
                let trace = try Session.trace(of: subject, example, on: SIMDBackend(threads: 1))
                for step in trace.steps {
                    if let reason = step.outcome.skipReason, reason.code == .nonFiniteSetting { return "\(reason)" }
                    if let element = step.element(where: \.isNaN) { return element }
                    if step.state.contains("NaN") { return "the state is \(step.state)" }
                }
                return nil
            })
    }
}
