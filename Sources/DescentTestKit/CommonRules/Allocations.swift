import DescentCore
import DescentSIMD

extension Rule where Subject == DescentTestKit.Subject {
    /// That no step asks for memory once the first are over.
    ///
    /// It is checked where allocations can be counted: on Linux with glibc, in a program that is linked with the product
    /// `AllocationCounter`.
    static var allocations: Rule {
        Rule(
            title: "no step allocates memory once the first are over",
            expectation: """
                Arrays are made in configure(for:) and written to afterwards; no array, string, closure or object is made in \
                prepare(_:), transform(_:), update(_:) or finish(_:). (Declare .allocates if it cannot be helped.)
                """,
            cases: { subject in
                let isCounted = AllocationCount.current != nil && !subject.declarations.contains(.allocates)
                return isCounted ? [subject.example([[6, 5], [6], [], [3, 2, 2]], steps: 20)] : []
            },
            complaint: { subject, example in
                let count = try subject.parts(log: nil).allocations(
                    example, example.layout, on: SIMDBackend(threads: 1))
                return count == 0
                    ? nil : "\(count) allocation\(count == 1 ? "" : "s") in \(example.steps) steps, after 40 to warm up"
            })
    }
}
