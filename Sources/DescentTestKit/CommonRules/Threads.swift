import DescentCore
import DescentSIMD

extension Rule where Subject == DescentTestKit.Subject {
    /// That the number of threads, and the order in which they come to blocks, do not matter.
    static var threads: Rule {
        Rule(
            title: "the same bits with any number of threads",
            expectation: """
                What is done to a block depends on the block, on what prepare(_:) has decided and on slots: not on which \
                blocks came before it, nor on which thread it is.
                """,
            cases: { [$0.mixture] },
            complaint: { subject, example in
                func backend(_ threads: Int) -> SIMDBackend {
                    SIMDBackend(threads: threads, blockLength: 16, elementsPerThread: 8)
                }
                let single = try Session.trace(of: subject, example, on: backend(1))
                for threads in [2, 5] {
                    let reordered = try Session.trace(
                        of: subject, example, on: ReorderingBackend(backend(1), threads: threads))
                    let how = "with blocks in an order that \(threads) threads might take"
                    if let difference = reordered.difference(from: single, .bits, how, "with one thread") {
                        return difference
                    }
                }
                for threads in [2, 5] {
                    let parallel = try Session.trace(of: subject, example, on: backend(threads))
                    if let difference = parallel.difference(
                        from: single, .bits, "with \(threads) threads", "with one")
                    {
                        return difference
                    }
                }
                return nil
            })
    }
}
