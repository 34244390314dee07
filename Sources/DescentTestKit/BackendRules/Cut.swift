import DescentCore
import Synchronization

extension Rule {
    /// That blocks cover all tensors.
    static func cut<Backend: TensorBackend>() -> Rule where Subject == BackendSubject<Backend> {
        Rule(
            title: "blocks cover every row once, in order, whatever the number of threads",
            expectation: """
                blocks(of:) cuts tensors in the order of the layout into runs of whole rows that follow each other, none \
                empty. The cut depends on the layout alone.
                """,
            cases: { $0.mixtures() + [$0.example([])] },
            complaint: { subject, example in
                let layout = try example.layout
                let blocks = subject.backend.blocks(of: layout)
                var expected = blocks.makeIterator()
                for (index, parameter) in layout.enumerated() where parameter.count > 0 {
                    var row = 0
                    while row < parameter.rowCount {
                        guard let block = expected.next() else {
                            return "no block holds row \(row) of \"\(parameter.name)\""
                        }
                        guard block.parameterIndex == index, block.rows.lowerBound == row, !block.rows.isEmpty,
                            block.rows.upperBound <= parameter.rowCount
                        else { return "\(block) stands where row \(row) of tensor \(index) begins" }
                        row = block.rows.upperBound
                    }
                }
                if let superfluous = expected.next() { return "there is no row for \(superfluous)" }
                for threads in [1, 2, 5] {
                    guard let other = subject.withThreads?(threads).blocks(of: layout), other != blocks else {
                        continue
                    }
                    return "with \(threads) threads the cut is \(other), otherwise \(blocks)"
                }
                return nil
            },
            isFundamental: true)
    }

    /// That a sweep comes to all of its blocks.
    static func visits<Backend: TensorBackend>() -> Rule where Subject == BackendSubject<Backend> {
        Rule(
            title: "a sweep hands over each block of its range once",
            expectation: """
                run(_:in:_:) calls its body once for each position in sweep.range, with the block that lies there and the \
                position in the list of all blocks, whether the sweep runs backwards or not.
                """,
            cases: { $0.mixtures() },
            complaint: { subject, example in
                let layout = try example.layout
                let access = TensorAccess(subject.backend, layout)
                let tensors = subject.backend.makeTensors(layout, .float32)
                let count = access.blocks.count
                for range in [0..<count, 0..<0, count / 3..<count, 0..<(count + 1) / 2] {
                    for backwards in [false, true] {
                        let sweep = Sweep(
                            gradients: tensors, blocks: access.blocks, range: range, runsBackwards: backwards)
                        if let complaint = visits(access, sweep) {
                            return
                                "in a sweep \(backwards ? "backwards " : "")over \(range) of \(count) blocks \(complaint)"
                        }
                    }
                }
                return nil
            },
            isFundamental: true)
    }

    private static func visits<Backend: TensorBackend>(
        _ access: TensorAccess<Backend>, _ sweep: borrowing Sweep<Backend.Tensors>
    ) -> String? {
        let visits = Mutex((counts: [Int](repeating: 0, count: access.blocks.count), complaint: String?.none))
        let (blocks, layout, range) = (access.blocks, access.layout, sweep.range)
        access.run(sweep) { block, index in
            let extent = blocks[index]
            let parameter = layout[extent.parameterIndex]
            let isRight =
                block.parameterIndex == extent.parameterIndex && block.firstRow == extent.rows.lowerBound
                && block.rowCount == extent.rows.count && block.columnCount == parameter.columnCount
                && block.rank == parameter.rank
            visits.withLock { visits in
                visits.counts[index] += 1
                if !isRight { visits.complaint = "the block at position \(index) is not \(extent)" }
            }
        }
        return visits.withLock { visits in
            for index in blocks.indices where visits.counts[index] != (range.contains(index) ? 1 : 0) {
                return "block \(index) is handed over \(visits.counts[index]) times"
            }
            return visits.complaint
        }
    }
}
