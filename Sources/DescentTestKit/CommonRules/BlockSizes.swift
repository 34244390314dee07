import DescentCore
import DescentSIMD

extension Rule where Subject == DescentTestKit.Subject {
    /// That it does not matter how tensors are cut into blocks.
    static var blockSizes: Rule {
        Rule(
            title: "whole tensors and small blocks give the same",
            expectation: """
                A block is some rows of a tensor, and not the tensor: what needs to know the whole gradient is declared in \
                requirements, and what needs a tensor in one piece has reach .tensors(inTurn: false). firstRow says where a \
                block begins.
                """,
            cases: { [$0.mixture] },
            complaint: { subject, example in
                let agreement = try subject.usesSums(for: example.layout) ? Agreement.closely : .numbers
                func trace(_ blockLength: Int) throws -> Trace {
                    try Session.trace(of: subject, example, on: SIMDBackend(threads: 1, blockLength: blockLength))
                }
                let whole = try trace(SIMDBackend.defaultBlockLength)
                for length in [1, 16] {
                    let blocks = try trace(length)
                    if let difference = blocks.difference(
                        from: whole, agreement, "in blocks of about \(length) elements", "in whole tensors")
                    {
                        return difference
                    }
                }
                return nil
            })
    }
}
