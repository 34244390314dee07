import DescentCore

extension Rule {
    /// That what is written lasts where it should, and nowhere else.
    static func elements<Backend: TensorBackend>() -> Rule where Subject == BackendSubject<Backend> {
        Rule(
            title: "what is written to a block lasts where it should",
            expectation: """
                Tensors are zero at first. beginAccess() gives a working copy of the gradient, which only store() writes to \
                sweep.output; parameters themselves; and the slots of slotAccess, as copies where it says that changes are \
                not kept. Buffers of what a sweep does not have are empty.
                """,
            cases: { $0.mixtures() },
            complaint: { subject, example in
                let layout = try example.layout
                let access = TensorAccess(subject.backend, layout)
                let (before, parameters) = (example.gradients(step: 0, of: layout), example.parameters(of: layout))
                let zeros = subject.backend.makeTensors(layout, .float32)
                if access.values(of: zeros) != layout.map({ [Float](repeating: 0, count: $0.count) }) {
                    return "new tensors are not zero"
                }
                let gradients = access.tensors(before)
                if access.values(of: gradients) != before { return "what is written to parameters is not read back" }
                let output = subject.backend.makeTensors(layout, .float32)
                var slots: [Backend.Tensors] = []
                for _ in 0..<3 { slots.append(access.tensors(parameters)) }
                let sweep = Sweep(gradients: gradients, output: output, slots: slots, blocks: access.blocks)
                access.run(sweep) { block, _ in
                    block.slotAccess = SlotAccess(first: 1, count: 1, isKept: true)
                    block.withUnsafeElements { memory in
                        for index in memory.gradient.indices {
                            memory.gradient[index] += 1
                            memory.slots[0][index] += 2
                        }
                    }
                    block.slotAccess = SlotAccess(first: 2, count: 1, isKept: false)
                    block.withUnsafeElements { memory in
                        for index in memory.gradient.indices {
                            memory.gradient[index] += memory.slots[0][index]
                            memory.slots[0][index] = 7
                        }
                    }
                    block.store()
                }
                func sum(_ first: [[Float]], _ second: Float) -> [[Float]] { first.map { $0.map { $0 + second } } }
                let stored = zip(sum(before, 1), parameters).map { zip($0, $1).map(+) }
                let expectations: [(String, Backend.Tensors, [[Float]])] = [
                    ("the gradient, which was not stored there", gradients, before), ("the output", output, stored),
                    ("a slot before the stage's", slots[0], parameters),
                    ("the stage's slot", slots[1], sum(parameters, 2)),
                    ("a slot that was lent", slots[2], parameters),
                ]
                for (what, tensors, expected) in expectations {
                    let found = access.values(of: tensors)
                    guard let index = layout.indices.first(where: { found[$0] != expected[$0] }) else { continue }
                    return
                        "\(what) holds \(found[index]) in \"\(layout[index].name)\" and should hold \(expected[index])"
                }
                return nil
            },
            isFundamental: true)
    }

    /// That tensors are values of the element type that was asked for.
    static func storage<Backend: TensorBackend>() -> Rule where Subject == BackendSubject<Backend> {
        Rule(
            title: "tensors are values, and stored as they are asked for",
            expectation: """
                After makeUnique() a change through one value is seen by no other. makeTensors(_:_:) stores elements in the \
                type that it is given, and copyParameters() rounds to the nearest number of that type.
                """,
            cases: { $0.mixtures() },
            complaint: { subject, example in
                let layout = try example.layout
                let access = TensorAccess(subject.backend, layout)
                let values = example.gradients(step: 0, of: layout)
                let original = access.tensors(values)
                var copy = original
                access.fill(&copy, with: example.gradients(step: 1, of: layout))
                if access.values(of: original) != values { return "a change of a copy shows in the original" }
                for type in ElementType.allCases {
                    let tensors = access.tensors(values, type)
                    if tensors.elementType != type {
                        return "tensors of \(type) say that they are \(tensors.elementType)"
                    }
                    let found = access.values(of: tensors)
                    for (index, parameter) in layout.enumerated() {
                        let expected = values[index].map(type.rounded)
                        if found[index] != expected {
                            return "\"\(parameter.name)\" in \(type) holds \(found[index]) and should hold \(expected)"
                        }
                    }
                }
                return nil
            })
    }
}
