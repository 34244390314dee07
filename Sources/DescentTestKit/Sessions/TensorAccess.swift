import DescentCore
import Synchronization

/// Reads and writes the tensors of any backend, row by row, through blocks and nothing else.
struct TensorAccess<Backend: TensorBackend>: Sendable {
    let backend: Backend
    let layout: ParameterLayout
    let blocks: [BlockExtent]
    private let workspace: Backend.Workspace

    init(_ backend: Backend, _ layout: ParameterLayout) {
        self.backend = backend
        self.layout = layout
        blocks = backend.blocks(of: layout)
        workspace = backend.makeWorkspace(for: layout, blocks: blocks)
    }

    /// Access to whole tensors, each a block, with floats of scratch for whoever works on them.
    init(_ backend: Backend, wholeTensorsOf layout: ParameterLayout, scratchCount: Int) {
        self.backend = backend
        self.layout = layout
        blocks = layout.indices.filter { layout[$0].count > 0 }
            .map { BlockExtent(parameterIndex: $0, rows: 0..<layout[$0].rowCount, firstRow: 0) }
        workspace = backend.makeWorkspace(for: layout, tensors: blocks, scratchCount: scratchCount)
    }

    /// Tensors that hold some values.
    func tensors(_ values: [[Float]], _ elementType: ElementType = .float32) -> Backend.Tensors {
        var tensors = backend.makeTensors(layout, .float32)
        fill(&tensors, with: values)
        guard elementType != .float32 else { return tensors }
        let rounded = backend.makeTensors(layout, elementType)
        run(Sweep(gradients: tensors, parameters: tensors, parameterCopy: rounded, blocks: blocks)) { block, _ in
            block.copyParameters()
        }
        return rounded
    }

    /// Replaces all elements of float32 tensors.
    func fill(_ tensors: inout Backend.Tensors, with values: [[Float]]) {
        tensors.makeUnique()
        run(Sweep(gradients: tensors, parameters: tensors, blocks: blocks)) { block, _ in
            let first = block.firstRow * block.columnCount
            let elements = block.beginAccess()
            for index in elements.parameters.indices {
                elements.parameters[index] = values[block.parameterIndex][first + index]
            }
            block.endAccess(elements)
        }
    }

    /// All elements, row by row.
    func values(of tensors: Backend.Tensors) -> [[Float]] {
        let values = Mutex(layout.map { [Float](repeating: .nan, count: $0.count) })
        run(Sweep(gradients: tensors, blocks: blocks)) { block, _ in
            let first = block.firstRow * block.columnCount
            let elements = block.withElements { elements in elements.indices.map { elements[$0] } }
            values.withLock { values in
                for (index, element) in elements.enumerated() {
                    values[block.parameterIndex][first + index] = element
                }
            }
        }
        return values.withLock { $0 }
    }

    /// Runs a sweep.
    func run(_ sweep: borrowing Sweep<Backend.Tensors>, _ body: @Sendable (inout Backend.Block, Int) -> Void) {
        backend.run(sweep, in: workspace, body)
    }
}
