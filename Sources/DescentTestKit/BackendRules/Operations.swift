import DescentCore
import Synchronization

extension Rule {
    /// That operations do what their plain meaning is.
    static func operations<Backend: TensorBackend>() -> Rule where Subject == BackendSubject<Backend> {
        Rule(
            title: "block operations do what the defaults do",
            expectation: """
                Each operation that a backend implements gives what its default in DescentCore gives, up to the order of \
                sums, whatever was done to the block before.
                """,
            cases: { $0.mixtures() },
            complaint: { subject, example in
                let layout = try example.layout
                let trial = OperationTrial(TensorAccess(subject.backend, layout), example)
                for operations in singles {
                    if let complaint = trial.complaint(operations, spoils: true) { return complaint }
                }
                for operations in singles + sequences {
                    if let complaint = trial.complaint(operations, spoils: false) { return complaint }
                }
                return nil
            })
    }

    /// Each operation by itself.
    private static var singles: [[BlockOperation]] {
        (BlockOperation.transforms + BlockOperation.ends).map { [$0] }
    }

    /// Each transform behind a few others, and each end behind some of them.
    private static var sequences: [[BlockOperation]] {
        let transforms = BlockOperation.transforms
        var sequences: [[BlockOperation]] = []
        for (index, first) in transforms.enumerated() {
            for distance in [0, 1, 4] { sequences.append([first, transforms[(index + distance) % transforms.count]]) }
        }
        for (index, end) in BlockOperation.ends.enumerated() {
            sequences.append([.scale(0.5), .subtractRowMeans, end])
            sequences.append([.subtractRowMeans, transforms[index], .scale(3), end])
            sequences.append([.accumulate(factor: 2, overwriting: false), .subtractRowMeans, .norm(.l2), end])
        }
        return sequences
    }

    /// That norms are right for every finite gradient.
    static func norms<Backend: TensorBackend>() -> Rule where Subject == BackendSubject<Backend> {
        Rule(
            title: "norms are finite exactly if all elements are, and right for every magnitude",
            expectation: """
                norm(_:) neither overflows for huge elements nor vanishes for subnormal ones: a sum of squares in Float does \
                both, so that it needs a second look, in Double or scaled. One NaN or infinity makes it not finite.
                """,
            cases: { subject in
                [Numbers.huge, .subnormal, .mixed, .zero].flatMap { subject.mixtures(numbers: $0) }
            },
            complaint: { subject, example in
                let trial = OperationTrial(TensorAccess(subject.backend, try example.layout), example)
                for norm in [Norm.l1, .l2, .lInfinity, .lp(3)] {
                    for spoils in [false, true] {
                        if let complaint = trial.complaint([.norm(norm)], spoils: spoils) { return complaint }
                    }
                }
                return nil
            })
    }
}

/// Does operations on the blocks of a backend and on reference blocks, and compares.
struct OperationTrial<Backend: TensorBackend> {
    private static var slotCount: Int { 4 }
    private let access: TensorAccess<Backend>
    private let example: Case

    init(_ access: TensorAccess<Backend>, _ example: Case) {
        self.access = access
        self.example = example
    }

    /// What differs after some operations; nil if nothing does.
    ///
    /// - Parameters:
    ///   - operations: What to do to each block, in order.
    ///   - spoils: Whether gradients hold NaN and infinities.
    /// - Returns: The difference, in words.
    func complaint(_ operations: [BlockOperation], spoils: Bool) -> String? {
        // The gradient itself shows in what is stored of it.
        let operations = operations + [.store]
        let layout = access.layout
        var gradient = example.gradients(step: 0, of: layout)
        if spoils {
            for index in gradient.indices where gradient[index].count > 2 {
                gradient[index][0] = .nan
                gradient[index][gradient[index].count / 2] = .infinity
            }
        }
        let parameters = example.parameters(of: layout)
        // Slots of optimizers hold squares, which are not negative.
        let slots = (0..<Self.slotCount).map { slot in
            example.parameters(of: layout, variant: slot + 1).map { $0.map(\.magnitude) }
        }
        let tensors = (
            gradient: access.tensors(gradient), parameters: access.tensors(parameters),
            output: access.tensors(gradient), slots: slots.map { access.tensors($0) }
        )
        let measured = Mutex([[Double]](repeating: [], count: access.blocks.count))
        access.run(
            Sweep(
                gradients: tensors.gradient, parameters: tensors.parameters, output: tensors.output,
                slots: tensors.slots, blocks: access.blocks)
        ) { block, index in
            let numbers = operations.flatMap { $0.perform(on: &block) }
            measured.withLock { $0[index] = numbers }
        }

        let numbers = measured.withLock { $0 }
        let found =
            [access.values(of: tensors.parameters), access.values(of: tensors.output)]
            + tensors.slots.map { access.values(of: $0) }
        for (index, extent) in access.blocks.enumerated() {
            let parameter = layout[extent.parameterIndex]
            let range = extent.rows.lowerBound * parameter.columnCount..<extent.rows.upperBound * parameter.columnCount
            func part(_ values: [[Float]]) -> [Float] { Array(values[extent.parameterIndex][range]) }
            let memory = ReferenceBlock.Memory(
                gradient: part(gradient), parameters: part(parameters), output: part(gradient), slots: slots.map(part))
            var block = ReferenceBlock(extent, of: parameter, memory)
            let expected = operations.flatMap { $0.perform(on: &block) }
            let how =
                "after \(operations) on rows \(extent.rows) of \"\(parameter.name)\", \(part(gradient).prefix(12)),"
            for (found, expected) in zip(numbers[index], expected) where !Self.agree(found, expected) {
                return "\(how) \(found) is measured, and should be \(expected)"
            }
            let buffers =
                [("parameters", memory.parameters), ("output", memory.output)]
                + memory.slots.enumerated().map { ("slot \($0)", $1) }
            for ((what, expected), found) in zip(buffers, found) {
                let found = part(found)
                let largest = expected.reduce(0) { $1.isFinite ? max($0, $1.magnitude) : $0 }
                for (found, expected) in zip(found, expected)
                where (found.isFinite || expected.isFinite)
                    && !Agreement.closely.holds(found, expected, largest: largest)
                {
                    return "\(how) \(what) holds \(found), and should hold \(expected)"
                }
            }
        }
        return nil
    }

    private static func agree(_ found: Double, _ expected: Double) -> Bool {
        // A backend that does not measure updates says NaN.
        if !expected.isFinite || found.isNaN { return !found.isFinite }
        return abs(found - expected) <= 1e-5 * max(abs(found), abs(expected))
    }
}
