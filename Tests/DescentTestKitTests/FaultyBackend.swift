import DescentCore
import TestSupport

/// The plain backend with one fault.
struct FaultyBackend: TensorBackend {
    enum Fault: CaseIterable {
        case losesATensor, ignoresTheRange, keepsWhatWasLent, storesFloatsAlone, clampsNaN, overflowsInNorms
        case forgetsTheGradient, forgetsMasters
        case losesTheSecondSweep, dependsOnThreads, none
    }

    private let base = PlainBackend()
    let fault: Fault
    let threadCount: Int
    let takesStoredParameters = true

    init() { self.init(.none) }

    init(_ fault: Fault, threads: Int = 1) {
        self.fault = fault
        threadCount = threads
    }

    func makeTensors(_ layout: ParameterLayout, _ elementType: ElementType) -> PlainTensors {
        base.makeTensors(layout, fault == .storesFloatsAlone ? .float32 : elementType)
    }

    func blocks(of layout: ParameterLayout) -> [BlockExtent] {
        let blocks = base.blocks(of: layout)
        return fault == .losesATensor ? blocks.dropLast() : blocks
    }

    func makeWorkspace(for layout: ParameterLayout, blocks: [BlockExtent]) -> PlainWorkspace {
        base.makeWorkspace(for: layout, blocks: blocks)
    }

    func makeWorkspace(
        for layout: ParameterLayout, tensors: [BlockExtent], scratchCount: Int
    ) -> PlainWorkspace {
        base.makeWorkspace(for: layout, tensors: tensors, scratchCount: scratchCount)
    }

    func scratchBytes(_ workspace: PlainWorkspace) -> Int { 0 }

    func run(
        _ sweep: borrowing Sweep<PlainTensors>, in workspace: PlainWorkspace,
        _ body: @Sendable (inout FaultyBlock, Int) -> Void
    ) {
        var changed = copy sweep
        if fault == .ignoresTheRange { changed.range = changed.blocks.indices }
        if fault == .losesTheSecondSweep, changed.runsBackwards { changed.slots = changed.slots.map { makeCopy($0) } }
        if fault == .forgetsMasters { changed.masterParameters = nil }
        let (fault, threads) = (fault, threadCount)
        base.run(changed, in: workspace) { block, index in
            var block = FaultyBlock(block, fault)
            if fault == .dependsOnThreads { block.scale(by: 1 / Float(threads)) }
            body(&block, index)
        }
    }

    private func makeCopy(_ tensors: PlainTensors) -> PlainTensors {
        PlainTensors(tensors.layout, tensors.values, elementType: tensors.elementType)
    }
}

/// A plain block with one fault.
struct FaultyBlock: UpdateBlock {
    private var base: PlainBlock
    private let fault: FaultyBackend.Fault

    init(_ base: PlainBlock, _ fault: FaultyBackend.Fault) {
        self.base = base
        self.fault = fault
    }

    var parameterIndex: Int { base.parameterIndex }
    var firstRow: Int { base.firstRow }
    var rank: Int { base.rank }
    var rowCount: Int { base.rowCount }
    var columnCount: Int { base.columnCount }
    var slotAccess: SlotAccess {
        get { base.slotAccess }
        set {
            base.slotAccess = newValue
            if fault == .keepsWhatWasLent { base.slotAccess.isKept = true }
        }
    }
    var rates: UpdateRates {
        get { base.rates }
        set { base.rates = newValue }
    }

    mutating func beginAccess() -> UnsafeBlockElements { base.beginAccess() }
    mutating func endAccess(_ elements: UnsafeBlockElements) { base.endAccess(elements) }
    mutating func rememberGradient() { if fault != .forgetsTheGradient { base.rememberGradient() } }
    mutating func rememberParameters() { base.rememberParameters() }
    mutating func updateNorm() -> Double { base.updateNorm() }
    mutating func copyParameters() { base.copyParameters() }

    mutating func clamp(to range: ClosedRange<Float>) {
        guard fault == .clampsNaN else { return base.clamp(to: range) }
        transformEach { $0 = $0 > range.lowerBound ? min($0, range.upperBound) : range.lowerBound }
    }

    mutating func norm(_ norm: Norm) -> Double {
        guard fault == .overflowsInNorms, norm == .l2 else { return base.norm(norm) }
        return withElements { elements in
            var sum: Float = 0
            for index in elements.indices { sum += elements[index] * elements[index] }
            return Double(sum.squareRoot())
        }
    }
}
