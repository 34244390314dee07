import DescentCore
import DescentSIMD

extension Rule where Subject == DescentTestKit.Subject {
    /// That no step asks for memory once the first are over.
    ///
    /// It is checked where allocations can be counted: on Linux with glibc, without a sanitizer. In a program that is not
    /// optimized, small ones pass.
    static var allocations: Rule {
        Rule(
            title: "no step allocates memory once the first are over",
            expectation: """
                Arrays are made in configure(for:) and written to afterwards; no array, string, closure or object is made in \
                prepare(_:), transform(_:), update(_:) or finish(_:). (Declare .allocates if it cannot be helped.)
                """,
            cases: { subject in
                let isCounted = AllocationCount.areCounted && !subject.declarations.contains(.allocates)
                let shapes = [[300, 5], [6], []] + Array(repeating: [3, 2], count: 150)
                return isCounted ? [subject.example(shapes, steps: 20)] : []
            },
            complaint: { subject, example in
                try subject.parts(log: nil).allocations(example, example.layout, on: SIMDBackend(threads: 1))
                    .complaint.map { "\($0) in \(example.steps) steps, after 40 to warm up" }
            })
    }
}
