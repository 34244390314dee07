/// Tensors that are handed out whole: in a pass, or in the last sweep.
struct WholeTensors<Backend: TensorBackend>: Sendable {
    /// A block for each tensor, with all of its rows.
    let blocks: [BlockExtent]
    /// Whether they are handed out one after another on the caller's thread.
    let isInTurn: Bool
    private let layout: ParameterLayout
    private let scratchCount: Int
    private(set) var workspace: Backend.Workspace

    /// Makes ready to hand out some tensors.
    ///
    /// - Parameters:
    ///   - isChosen: For each parameter, whether it is among them.
    ///   - layout: The parameters.
    ///   - isInTurn: Whether they are handed out one after another.
    ///   - scratchCount: How many floats of scratch each thread has to have.
    ///   - backend: Who hands them out.
    init(_ isChosen: [Bool], of layout: ParameterLayout, isInTurn: Bool, scratchCount: Int, on backend: Backend) {
        blocks = layout.indices.filter { isChosen[$0] && layout[$0].count > 0 }
            .map { BlockExtent(parameterIndex: $0, rows: 0..<layout[$0].rowCount, firstRow: 0) }
        self.layout = layout
        self.isInTurn = isInTurn
        self.scratchCount = scratchCount
        workspace = backend.makeWorkspace(for: layout, tensors: blocks, scratchCount: scratchCount)
    }

    /// Makes sure that no copy uses the same workspace.
    mutating func makeUnique(on backend: Backend) {
        guard !isKnownUniquelyReferenced(&workspace) else { return }
        workspace = backend.makeWorkspace(for: layout, tensors: blocks, scratchCount: scratchCount)
    }
}
