import DescentCore
import DescentSIMD

/// A backend that works on blocks one by one, in orders in which several threads might come to them.
///
/// What depends on the order shows in every run, and not only when threads happen to meet.
struct ReorderingBackend: TensorBackend {
    private let base: SIMDBackend
    private let interleaved: Int

    init() { self.init(SIMDBackend(threads: 1), threads: 1) }

    /// A backend that deals out blocks as that many threads would that are equally fast.
    init(_ base: SIMDBackend, threads: Int) {
        self.base = base
        interleaved = threads
    }

    var threadCount: Int { 1 }

    func makeTensors(_ layout: ParameterLayout, _ elementType: ElementType) -> TensorSet {
        base.makeTensors(layout, elementType)
    }

    func blocks(of layout: ParameterLayout) -> [BlockExtent] { base.blocks(of: layout) }

    func makeWorkspace(for layout: ParameterLayout, blocks: [BlockExtent]) -> SIMDWorkspace {
        base.makeWorkspace(for: layout, blocks: blocks)
    }

    func makeWorkspace(for layout: ParameterLayout, tensors: [BlockExtent], scratchCount: Int) -> SIMDWorkspace {
        base.makeWorkspace(for: layout, tensors: tensors, scratchCount: scratchCount)
    }

    func scratchBytes(_ workspace: SIMDWorkspace) -> Int { base.scratchBytes(workspace) }

    func run(
        _ sweep: borrowing Sweep<TensorSet>, in workspace: SIMDWorkspace,
        _ body: @Sendable (inout SIMDBlock, Int) -> Void
    ) {
        let share = (sweep.range.count + interleaved - 1) / max(1, interleaved)
        for turn in 0..<share {
            for thread in 0..<interleaved where turn + thread * share < sweep.range.count {
                var single = copy sweep
                let index = sweep.range.lowerBound + turn + thread * share
                single.range = index..<index + 1
                base.run(single, in: workspace, body)
            }
        }
    }
}
