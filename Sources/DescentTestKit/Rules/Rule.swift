import DescentCore

/// Something that the engine relies on, and how to find out whether it holds for a subject.
struct Rule<Subject>: Sendable {
    /// What the rule is called: "the same bits with any number of threads".
    let title: String
    /// What is expected of the author, in a sentence or two.
    let expectation: String
    /// What to try it on.
    let cases: @Sendable (Subject) -> [Case]
    /// Says what is wrong in a case, or nil if nothing is; what it throws is wrong as well.
    let complaint: @Sendable (Subject, Case) throws -> String?
    /// Whether nothing that other rules find means anything where this one is broken.
    var isFundamental = false
    /// Whether a smaller case that shows the same is of use.
    var shrinks = true

    /// What is wrong with a subject, shown by the smallest case that was found; nil if the rule holds.
    func violation(by subject: Subject) -> Violation? {
        for example in cases(subject) {
            let smallest = example.smallest(limit: shrinks ? 200 : 0) { other -> String? in
                do {
                    return try complaint(subject, other)
                } catch is UnsuitableCase {
                    return nil
                } catch {
                    return "it throws \(error)"
                }
            }
            if let (smallest, finding) = smallest {
                return Violation(rule: title, expectation: expectation, finding: finding, example: "\(smallest)")
            }
        }
        return nil
    }
}

/// Thrown where a subject refuses the layout of a case, which is for one rule alone to object to.
struct UnsuitableCase: Error {
    let reason: DescentError
}
