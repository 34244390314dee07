import DescentCore
import DescentSIMD

extension Rule where Subject == DescentTestKit.Subject {
    /// That NaN is neither hidden nor falsely declared to be repaired.
    static var nonFinite: Rule {
        Rule(
            title: "NaN and infinities are repaired if that is declared, and NaN is never hidden",
            expectation: """
                With repairsNonFinite, every element that leaves the stage is finite. Without it, a tensor with a NaN keeps \
                one: comparisons with NaN are false, so that a clamp written with < and > may let it through as a number. \
                (Declare .hidesNaN if it is meant to.)
                """,
            cases: { [$0.example([[4, 3], [5], []], steps: 1)] },
            complaint: { subject, example in
                guard let transform = subject.transform else { return nil }
                let repairs = transform.repairsNonFinite
                for value in repairs ? [Float.nan, .infinity, -.infinity] : [.nan] {
                    for place in [0, 1] {
                        if let complaint = try complaint(subject, example, value, atEnd: place == 1, repairs) {
                            return complaint
                        }
                    }
                }
                return nil
            })
    }

    private static func complaint(
        _ subject: Subject, _ example: Case, _ value: Float, atEnd: Bool, _ repairs: Bool
    ) throws -> String? {
        if !repairs, subject.declarations.contains(.hidesNaN) { return nil }
        var session = try Session(subject, example, on: SIMDBackend(threads: 1), .init(nonFinite: .propagate))
        let step = try session.step(
            .init(0) { _, elements in
                if !elements.isEmpty { elements[atEnd ? elements.count - 1 : 0] = value }
            })
        guard step.outcome.isApplied, let gradient = step.gradient else { return nil }
        for (parameter, elements) in zip(session.layout, gradient)
        where parameter.count > 0 && !subject.excludes(parameter) {
            let isFinite = elements.allSatisfy(\.isFinite)
            let place = "at [\(atEnd ? elements.count - 1 : 0)] of \"\(parameter.name)\""
            if repairs, !isFinite { return "\(value) \(place) leaves \(elements), though it repairs gradients" }
            if !repairs, isFinite { return "\(value) \(place) leaves \(elements)" }
        }
        return nil
    }
}
