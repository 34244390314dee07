import DescentCore
import DescentSIMD

extension Rule where Subject == DescentTestKit.Subject {
    /// That a skipped step leaves no trace.
    static var vetoes: Rule {
        Rule(
            title: "a vetoed step changes nothing",
            expectation: """
                State changes in finish(_:), and there only if the step was applied: a later stage may veto the step after \
                prepare(_:). Counters, histories and running means belong there.
                """,
            cases: { [$0.example([[4, 3], [5]], steps: 3)] },
            complaint: { subject, example in
                let backend = SIMDBackend(threads: 1)
                let options = Session<SIMDBackend>.Options(hasVetoes: true)
                let undisturbed = try Session.trace(of: subject, example, on: backend, options)
                var session = try Session(subject, example, on: backend, options)
                var last: Trace.Step?
                for step in 0..<example.steps {
                    let found = try session.step(.init(step))
                    let disturbance = found.difference(
                        from: undisturbed.steps[step], .numbers, "where steps before it were vetoed",
                        "where there were none")
                    if let disturbance { return "in step \(step + 1) \(disturbance)" }
                    last = found
                    for event in disturbances(of: subject, gradients: 100 + step) {
                        let skipped = try session.step(event)
                        // Nothing was skipped if the stage repairs what is not finite.
                        guard let last, case .skipped = skipped.outcome else { continue }
                        let (how, otherwise) = ("after a skipped step", "before it")
                        let difference =
                            skipped.differenceInNumbers(from: last, .numbers, how, otherwise)
                            ?? skipped.differenceInState(from: last, how, otherwise)
                        if let difference { return difference }
                    }
                }
                return last == nil ? "no step was taken" : nil
            })
    }

    /// Steps that are skipped: by a later stage and, unless the stage learns from those, for a NaN.
    private static func disturbances(
        of subject: Subject, gradients: Int
    ) -> [Session<SIMDBackend>.Event] {
        let vetoed = Session<SIMDBackend>.Event(gradients, isVetoed: true)
        let spoiled = Session<SIMDBackend>.Event(gradients) { _, elements in
            if !elements.isEmpty { elements[elements.count - 1] = .nan }
        }
        let transform = subject.transform
        let learns = transform?.order.leaves.contains(.unscaled) == true || transform?.repairsNonFinite == true
        return learns ? [vetoed] : [vetoed, spoiled]
    }
}
