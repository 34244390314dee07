import DescentCore
import DescentSIMD

extension Rule where Subject == DescentTestKit.Subject {
    /// That NaN is neither hidden nor falsely declared to be repaired.
    static var nonFinite: Rule {
        Rule(
            title: "NaN and infinities are repaired if that is declared, and NaN is never hidden",
            expectation: """
                With repairsNonFinite, every element that leaves the stage is finite, or the stage leaves a tensor alone \
                whatever is in it. Without it, a tensor with a NaN keeps one: comparisons with NaN are false, so that a clamp \
                written with < and > may let it through as a number. (Declare .hidesNaN if it is meant to.)
                """,
            cases: { [$0.example([[4, 3], [5], []], steps: 1)] },
            complaint: { subject, example in
                guard let transform = subject.transform else { return nil }
                guard transform.repairsNonFinite else { return try concealment(subject, example) }
                return try incompleteRepair(subject, example)
            })
    }

    /// A NaN that does not leave a stage that repairs nothing.
    private static func concealment(_ subject: Subject, _ example: Case) throws -> String? {
        if subject.declarations.contains(.hidesNaN) { return nil }
        for atEnd in [false, true] {
            let found = try results(subject, example, .nan, atEnd: atEnd).first { $0.elements.allSatisfy(\.isFinite) }
            if let found { return "\(found.place) leaves \(found.elements)" }
        }
        return nil
    }

    /// A number that leaves a stage that repairs others in the same tensor.
    private static func incompleteRepair(_ subject: Subject, _ example: Case) throws -> String? {
        var repaired: Set<String> = []
        var left: [(parameter: String, place: String, elements: [Float])] = []
        for value in [Float.nan, .infinity, -.infinity] {
            for atEnd in [false, true] {
                for result in try results(subject, example, value, atEnd: atEnd) {
                    if result.elements.allSatisfy(\.isFinite) {
                        repaired.insert(result.parameter)
                    } else {
                        left.append(result)
                    }
                }
            }
        }
        let found = left.first { repaired.isEmpty || repaired.contains($0.parameter) }
        return found.map { "\($0.place) leaves \($0.elements), though it repairs gradients" }
    }

    /// What leaves the stage of tensors that hold a value at their beginning or end; nothing of a step that is skipped.
    private static func results(
        _ subject: Subject, _ example: Case, _ value: Float, atEnd: Bool
    ) throws -> [(parameter: String, place: String, elements: [Float])] {
        var session = try Session(subject, example, on: SIMDBackend(threads: 1), .init(nonFinite: .propagate))
        let step = try session.step(
            .init(0) { _, elements in
                if !elements.isEmpty { elements[atEnd ? elements.count - 1 : 0] = value }
            })
        guard step.outcome.isApplied, let gradient = step.gradient else { return [] }
        return zip(session.layout, gradient).filter { $0.0.count > 0 }
            .map { parameter, elements in
                let index = atEnd ? elements.count - 1 : 0
                return (parameter.name, "\(value) at [\(index)] of \"\(parameter.name)\"", elements)
            }
    }
}
