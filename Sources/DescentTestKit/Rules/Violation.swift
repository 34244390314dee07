/// A rule that is broken, and how that shows.
struct Violation: Sendable, CustomStringConvertible {
    let rule: String
    let expectation: String
    let finding: String
    let example: String

    var description: String {
        """
        breaks the rule: \(rule).
        Expected: \(expectation)
        Found: \(finding).
        Smallest case: \(example).
        """
    }
}
