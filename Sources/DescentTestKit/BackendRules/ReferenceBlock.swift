import DescentCore

/// A block in arrays, on which every operation has its plain meaning: the defaults of `DescentCore`.
struct ReferenceBlock: UpdateBlock {
    /// What the block works on, row by row.
    final class Memory {
        let gradient: UnsafeMutableBufferPointer<Float>
        let parameters: UnsafeMutableBufferPointer<Float>
        let output: UnsafeMutableBufferPointer<Float>
        let slots: UnsafeMutableBufferPointer<UnsafeMutableBufferPointer<Float>>
        /// Copies of the slots, which a stage may write to without changing them.
        private var lent: [UnsafeMutableBufferPointer<UnsafeMutableBufferPointer<Float>>] = []

        init(gradient: [Float], parameters: [Float], output: [Float], slots: [[Float]]) {
            self.gradient = Self.copy(gradient)
            self.parameters = Self.copy(parameters)
            self.output = Self.copy(output)
            self.slots = .allocate(capacity: slots.count)
            _ = self.slots.initialize(from: slots.map(Self.copy))
        }

        deinit {
            for buffer in [gradient, parameters, output] { buffer.deallocate() }
            for list in [slots] + lent {
                for buffer in list { buffer.deallocate() }
                list.deallocate()
            }
        }

        /// Copies of the slots as they are.
        func lendSlots() -> UnsafeMutableBufferPointer<UnsafeMutableBufferPointer<Float>> {
            let copies = UnsafeMutableBufferPointer<UnsafeMutableBufferPointer<Float>>.allocate(capacity: slots.count)
            _ = copies.initialize(from: slots.map { Self.copy(Array($0)) })
            lent.append(copies)
            return copies
        }

        /// A copy of some numbers, for as long as the block's memory lasts.
        func lend(_ values: [Float]) -> UnsafeMutableBufferPointer<Float> {
            let list = UnsafeMutableBufferPointer<UnsafeMutableBufferPointer<Float>>.allocate(capacity: 1)
            list.initialize(repeating: Self.copy(values))
            lent.append(list)
            return list[0]
        }

        private static func copy(_ values: [Float]) -> UnsafeMutableBufferPointer<Float> {
            let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: values.count)
            _ = buffer.initialize(from: values)
            return buffer
        }
    }

    let parameterIndex: Int
    let firstRow: Int
    let rank: Int
    let rowCount: Int
    let columnCount: Int
    var slotAccess = SlotAccess()
    var rates = UpdateRates()
    let memory: Memory
    private var remembered: [Float] = []
    /// The gradient as it was remembered; empty before.
    private var original: [Float] = []

    init(_ extent: BlockExtent, of parameter: ParameterDescription, _ memory: Memory) {
        parameterIndex = extent.parameterIndex
        firstRow = extent.rows.lowerBound
        rank = parameter.rank
        rowCount = extent.rows.count
        columnCount = parameter.columnCount
        self.memory = memory
    }

    mutating func beginAccess() -> UnsafeBlockElements {
        let slots = slotAccess.isKept ? memory.slots : memory.lendSlots()
        let declared = slots[slotAccess.first..<slotAccess.first + slotAccess.count]
        return UnsafeBlockElements(
            gradient: memory.gradient, parameters: memory.parameters, output: memory.output,
            slots: UnsafeBufferPointer(UnsafeMutableBufferPointer(rebasing: declared)),
            original: memory.lend(original))
    }

    mutating func rememberGradient() { original = Array(memory.gradient) }

    mutating func endAccess(_ elements: UnsafeBlockElements) {}

    mutating func copyParameters() {}

    mutating func rememberParameters() { remembered = Array(memory.parameters) }

    mutating func updateNorm() -> Double {
        var combiner = Norm.Combiner(.l2)
        for (before, after) in zip(remembered, memory.parameters) { combiner.add(Double((after - before).magnitude)) }
        return combiner.value
    }
}
