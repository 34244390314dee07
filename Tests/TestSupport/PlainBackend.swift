package import DescentCore
import Synchronization

/// The smallest backend there can be: arrays, one block a tensor, and every operation the plain default.
///
/// Where units are the last dimension, it transposes tensors on their way in and out, so that rows are rows. It is what
/// faster backends are compared with, and it counts sweeps and what they visit.
package struct PlainBackend: TensorBackend {
    package let threadCount = 1
    package let takesStoredParameters = true
    package let log = TrafficLog()

    package init() {}

    package func makeTensors(_ layout: ParameterLayout, _ elementType: ElementType) -> PlainTensors {
        PlainTensors(layout, elementType: elementType)
    }

    package func blocks(of layout: ParameterLayout) -> [BlockExtent] {
        layout.indices.filter { layout[$0].count > 0 }.map {
            BlockExtent(parameterIndex: $0, rows: 0..<layout[$0].rowCount, firstRow: 0)
        }
    }

    package func makeWorkspace(for layout: ParameterLayout, blocks: [BlockExtent]) -> PlainWorkspace {
        PlainWorkspace(log, scratchCount: 0)
    }

    package func makeWorkspace(
        for layout: ParameterLayout, tensors: [BlockExtent], scratchCount: Int
    ) -> PlainWorkspace {
        PlainWorkspace(log, scratchCount: scratchCount)
    }

    package func scratchBytes(_ workspace: PlainWorkspace) -> Int { 0 }

    package func run(
        _ sweep: borrowing Sweep<PlainTensors>, in workspace: PlainWorkspace,
        _ body: @Sendable (inout PlainBlock, Int) -> Void
    ) {
        workspace.log.add { $0.sweeps += 1 }
        for index in sweep.range {
            let extent = sweep.blocks[index]
            var lent = copy sweep
            let before = lend(&lent, extent.parameterIndex)
            var block = PlainBlock(extent, sweep.gradients.layout[extent.parameterIndex], lent, workspace)
            body(&block, index)
            if let before { finish(sweep, lent, extent.parameterIndex, before: before) }
        }
    }

    /// Replaces parameters that are not updated as they are by float32 copies.
    private func lend(_ sweep: inout Sweep<PlainTensors>, _ index: Int) -> [Float]? {
        guard let parameters = sweep.parameters else { return nil }
        let isRounded = parameters.elementType != .float32
        guard isRounded || sweep.updatedParameters != nil else { return nil }
        var values = parameters.storage.values[index].map(parameters.elementType.rounded)
        if isRounded, let masters = sweep.masterParameters?.storage.values[index], masters.count == values.count {
            values = zip(values, masters).map { value, master in
                parameters.elementType.rounded(master).bitPattern == value.bitPattern ? master : value
            }
        }
        var all = parameters.storage.values
        all[index] = values
        sweep.parameters = PlainTensors(parameters.layout, all)
        return values
    }

    /// Writes such copies to where they are kept.
    private func finish(
        _ sweep: borrowing Sweep<PlainTensors>, _ lent: Sweep<PlainTensors>, _ index: Int, before: [Float]
    ) {
        guard let parameters = sweep.parameters, let values = lent.parameters?.storage.values[index],
            !sweep.onlyReadsParameters, values != before || sweep.updatedParameters != nil
        else { return }
        if parameters.elementType != .float32 { sweep.masterParameters?.storage.values[index] = values }
        let target = sweep.updatedParameters ?? parameters
        target.storage.values[index] = values.map(parameters.elementType.rounded)
    }
}

/// What the plain backend's sweeps need: where to count, and how much scratch whole tensors take.
package final class PlainWorkspace: Sendable {
    fileprivate let log: TrafficLog
    fileprivate let scratchCount: Int

    fileprivate init(_ log: TrafficLog, scratchCount: Int) {
        self.log = log
        self.scratchCount = scratchCount
    }
}

/// Counts sweeps, and the elements of the blocks that are worked on in them.
///
/// How often a stage looks at a block while it has it is not counted: a block is small enough to be in cache.
package final class TrafficLog: Sendable {
    package struct Counts: Equatable {
        package var sweeps = 0
        package var elementsVisited = 0

        package init(sweeps: Int = 0, elementsVisited: Int = 0) {
            self.sweeps = sweeps
            self.elementsVisited = elementsVisited
        }
    }

    private let counts = Mutex(Counts())

    package func add(_ change: (inout Counts) -> Void) { counts.withLock { change(&$0) } }

    /// What has been counted since the last call.
    package func take() -> Counts {
        counts.withLock { counts in
            defer { counts = Counts() }
            return counts
        }
    }
}

/// Tensors as arrays; a reference inside, so that a sweep can write through a copy.
package struct PlainTensors: TensorStorage, @unchecked Sendable {
    package final class Storage {
        package var values: [[Float]]
        package init(_ values: [[Float]]) { self.values = values }
    }

    package let layout: ParameterLayout
    package let elementType: ElementType
    package var storage: Storage

    package init(_ layout: ParameterLayout, _ values: [[Float]]? = nil, elementType: ElementType = .float32) {
        self.layout = layout
        self.elementType = elementType
        storage = Storage(values ?? layout.map { [Float](repeating: 0, count: $0.count) })
    }

    package mutating func makeUnique() {
        if !isKnownUniquelyReferenced(&storage) { storage = Storage(storage.values) }
    }

    package var values: [[Float]] { storage.values }

    package func withBytes<Result>(
        of position: Int, _ body: (UnsafeRawBufferPointer) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        let values = storage.values[position]
        let bytes =
            switch elementType {
            case .float32: values.withUnsafeBytes { Array($0) }
            case .float16: values.map { Binary16($0).bitPattern }.withUnsafeBytes { Array($0) }
            case .bfloat16: values.map { BFloat16($0).bitPattern }.withUnsafeBytes { Array($0) }
            case .int8, .uint8: values.map { UInt8($0) }
            }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 4)
        defer { buffer.deallocate() }
        buffer.copyBytes(from: bytes)
        return try body(UnsafeRawBufferPointer(buffer))
    }

    package mutating func withMutableBytes<Result>(
        of position: Int, _ body: (UnsafeMutableRawBufferPointer) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        makeUnique()
        let count = storage.values[position].count
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count * elementType.byteCount, alignment: 4)
        defer { buffer.deallocate() }
        try withBytes(of: position) { buffer.copyMemory(from: $0) }
        let result = try body(buffer)
        storage.values[position] =
            switch elementType {
            case .float32: Array(buffer.bindMemory(to: Float.self))
            case .float16: buffer.bindMemory(to: UInt16.self).map { Float(Binary16(bitPattern: $0)) }
            case .bfloat16: buffer.bindMemory(to: UInt16.self).map { Float(BFloat16(bitPattern: $0)) }
            case .int8, .uint8: buffer.map { Float($0) }
            }
        return result
    }
}

package struct PlainBlock: UpdateBlock {
    package let parameterIndex: Int
    package let firstRow: Int
    package let rank: Int
    package let rowCount: Int
    package let columnCount: Int
    package var slotAccess = SlotAccess()
    package var rates = UpdateRates()
    private let sweep: Sweep<PlainTensors>
    private let workspace: PlainWorkspace
    /// Copies of the slots, for as long as an access lasts.
    private var slots = UnsafeMutableBufferPointer<UnsafeMutableBufferPointer<Float>>(start: nil, count: 0)
    private let outputAxis: OutputAxis
    private var gradient: [Float]?
    private var remembered: [Float] = []
    /// The gradient that an optimizer makes its update of, if a stage behind it is to see it.
    private var original: [Float] = []

    fileprivate init(
        _ extent: BlockExtent, _ parameter: ParameterDescription, _ sweep: Sweep<PlainTensors>,
        _ workspace: PlainWorkspace
    ) {
        parameterIndex = extent.parameterIndex
        firstRow = extent.rows.lowerBound
        rank = parameter.rank
        rowCount = extent.rows.count
        columnCount = parameter.columnCount
        outputAxis = parameter.outputAxis
        self.sweep = sweep
        self.workspace = workspace
    }

    /// A tensor row by row: transposed where units are the last dimension.
    private func rows(_ values: [Float]) -> [Float] {
        guard outputAxis == .last, !values.isEmpty else { return values }
        return (0..<count).map { values[$0 % columnCount * rowCount + $0 / columnCount] }
    }

    /// Rows as they lie in memory.
    private func memoryOrder(_ rows: [Float]) -> [Float] {
        guard outputAxis == .last, !rows.isEmpty else { return rows }
        return (0..<count).map { rows[$0 % rowCount * columnCount + $0 / rowCount] }
    }

    package mutating func beginAccess() -> UnsafeBlockElements {
        let index = parameterIndex
        if gradient == nil {
            gradient = rows(sweep.gradients.storage.values[index])
            let count = count
            workspace.log.add { $0.elementsVisited += count }
        }
        slots = .allocate(capacity: slotAccess.count)
        for offset in slots.indices {
            let slot = slotAccess.first + offset
            let values = sweep.slots[slot].storage.values[index]
            slots.initializeElement(at: offset, to: Self.allocate(shape(slot) == .parameter ? rows(values) : values))
        }
        return UnsafeBlockElements(
            gradient: Self.allocate(gradient ?? []),
            parameters: Self.allocate(rows(sweep.parameters?.storage.values[index] ?? [])),
            output: Self.allocate(rows(sweep.output?.storage.values[index] ?? [])), slots: UnsafeBufferPointer(slots),
            original: Self.allocate(original),
            // Whoever reads what it has not written is found out.
            scratch: Self.allocate([Float](repeating: .nan, count: workspace.scratchCount)))
    }

    package mutating func endAccess(_ elements: UnsafeBlockElements) {
        gradient = Array(elements.gradient)
        sweep.parameters?.storage.values[parameterIndex] = memoryOrder(Array(elements.parameters))
        sweep.output?.storage.values[parameterIndex] = memoryOrder(Array(elements.output))
        if slotAccess.isKept {
            for offset in 0..<slotAccess.count { keepSlot(slotAccess.first + offset, Array(slots[offset])) }
        }
        let buffers = [elements.gradient, elements.parameters, elements.output, elements.original, elements.scratch]
        for buffer in buffers + slots { buffer.deallocate() }
        slots.deallocate()
    }

    private func shape(_ slot: Int) -> Slot.Shape { sweep.slotShapes.isEmpty ? .parameter : sweep.slotShapes[slot] }

    /// Writes back what a stage has made of a slot, if it may.
    private func keepSlot(_ slot: Int, _ values: [Float]) {
        switch shape(slot) {
        case .parameter: sweep.slots[slot].storage.values[parameterIndex] = memoryOrder(values)
        case .row: sweep.slots[slot].storage.values[parameterIndex] = values
        case .column, .matrixRow, .matrixColumn, .tensor:
            // Every block of a parameter sees them, and none that is a part of it can change them.
            if sweep.handsWholeTensors { sweep.slots[slot].storage.values[parameterIndex] = values }
        case .group, .uncoded: break
        }
    }

    package mutating func rememberGradient() { original = withUnsafeElements { Array($0.gradient) } }

    private static func allocate(_ values: [Float]) -> UnsafeMutableBufferPointer<Float> {
        let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: values.count)
        _ = buffer.initialize(from: values)
        return buffer
    }

    package mutating func rememberParameters() { remembered = sweep.parameters?.storage.values[parameterIndex] ?? [] }

    package mutating func updateNorm() -> Double {
        var combiner = Norm.Combiner(.l2)
        for (old, new) in zip(remembered, sweep.parameters?.storage.values[parameterIndex] ?? []) {
            combiner.add(Double((new - old).magnitude))
        }
        return combiner.value
    }

    package mutating func copyParameters() {
        guard let copy = sweep.parameterCopy, let parameters = sweep.parameters else { return }
        copy.storage.values[parameterIndex] = parameters.storage.values[parameterIndex].map(copy.elementType.rounded)
    }
}
