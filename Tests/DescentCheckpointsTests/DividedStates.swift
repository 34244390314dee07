import Descent
import DescentCheckpoints
import DescentCore
import TestSupport

extension PipelineState<TensorSet> {
    /// What a rank holds of a state that is whole.
    func part(_ division: RowDivision) throws -> PipelineState {
        try replacingSlots(division) { slot in
            let (held, origins) = try division.part(
                of: slot.tensors.layout, slot.shape, of: layout, rank: division.rank)
            let size = slot.tensors.elementType.byteCount
            var tensors = TensorSet(zeros: held, slot.tensors.elementType)
            for (index, origin) in origins.enumerated() {
                try tensors.withMutableBytes(of: index) { part throws(DescentError) in
                    try slot.tensors.withBytes(of: index) { whole throws(DescentError) in
                        part.copyMemory(from: .init(rebasing: whole[origin * size..<origin * size + part.count]))
                    }
                }
            }
            return tensors
        }
    }

    private func replacingSlots(
        _ division: RowDivision, _ replace: (SavedSlot<TensorSet>) throws -> TensorSet
    ) rethrows -> PipelineState {
        PipelineState(
            counters: counters, layout: layout,
            components: try components.map { component in
                Component(
                    kind: component.kind, name: component.name, state: component.state,
                    slots: try component.slots.map {
                        SavedSlot(name: $0.name, shape: $0.shape, tensors: try replace($0))
                    }, changedSettings: component.changedSettings)
            }, metricStates: metricStates, division: division)
    }

    /// The bytes of all slots, and which tensors they are of.
    var contents: [String: [UInt8]] {
        get throws {
            var contents: [String: [UInt8]] = [:]
            for (position, component) in components.enumerated() {
                for slot in component.slots {
                    for (index, parameter) in slot.tensors.layout.enumerated() {
                        let name = "\(position) \(slot.name) \(slot.shape) \(slot.tensors.elementType) \(parameter)"
                        contents[name] = try slot.tensors.withBytes(of: index) { Array($0) }
                    }
                }
            }
            return contents
        }
    }

    /// Has ranks write the state together, each what it holds of it.
    ///
    /// - Returns: For each rank its error.
    func write(
        to path: String, ranks: Int, including parameters: TensorSet? = nil, metadata: [String: String] = [:],
        keepingWhole isWhole: [Bool] = []
    ) -> [DescentError?] {
        ThreadRanks.run(ranks) { rank, gather in
            let division = RowDivision(of: layout, among: ranks, rank: rank, keepingWhole: isWhole)
            try part(division).write(to: path, including: parameters, metadata: metadata, gathering: gather)
        }
    }
}

/// States of which the bits are known.
enum SavedStates {
    /// Parameters of all kinds: large enough for codes of 8 bits, with few rows, of no or one dimension, empty, with their
    /// output units last.
    static func layout() throws -> ParameterLayout {
        try ParameterLayout([
            ParameterDescription("large", shape: [37, 112]), ParameterDescription("long", shape: [4, 1_100]),
            ParameterDescription("small", shape: [7, 5]), ParameterDescription("few rows", shape: [2, 4]),
            ParameterDescription("last", shape: [5, 9], outputAxis: .last),
            ParameterDescription("large last", shape: [64, 65], outputAxis: .last),
            ParameterDescription("vector", shape: [11]), ParameterDescription("scalar", shape: []),
            ParameterDescription("empty", shape: [0, 3]), ParameterDescription("no columns", shape: [8, 0]),
            ParameterDescription("stack", shape: [6, 3, 4]), ParameterDescription("a[0:3]/b", shape: [4, 3]),
        ])
    }

    /// A state with slots of every shape and type but those left out, of all parameters and of some, full of random bits.
    static func everything(
        of layout: ParameterLayout, seed: UInt64, without leftOut: [ElementType] = []
    ) throws -> PipelineState<TensorSet> {
        var generator = SeededGenerator(seed: seed)
        let types: [(Slot.Shape, ElementType)] =
            Slot.Shape.allCases.filter { $0 != .group }.map { ($0, .float32) }
            + [(.parameter, .bfloat16), (.parameter, .int8), (.parameter, .uint8), (.group, .uint8)]
        let noise = (0..<40_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
        var components: [PipelineState<TensorSet>.Component] = []
        for part in 0..<3 {
            var slots: [SavedSlot<TensorSet>] = []
            for (shape, type) in types where !leftOut.contains(type) {
                let isUsed = part == 0 ? nil : layout.indices.map { $0 % 2 == part - 1 }
                var tensors = TensorSet(zeros: try Slot.layout(shape, type, of: layout, isUsed: isUsed), type)
                for index in layout.indices {
                    try tensors.withMutableBytes(of: index) { bytes throws(DescentError) in
                        let start = Int.random(in: 0...noise.count - bytes.count, using: &generator)
                        bytes.copyBytes(from: noise[start..<start + bytes.count])
                    }
                }
                slots.append(SavedSlot(name: "\(shape.rawValue) \(type)", shape: shape, tensors: tensors))
            }
            components.append(.init(kind: "Part\(part)", name: "Part", state: LiveState(value: part), slots: slots))
        }
        return PipelineState(
            counters: StepCounters(appliedSteps: 5, skippedSteps: 2, consecutiveSkips: 1), layout: layout,
            components: components)
    }
}
