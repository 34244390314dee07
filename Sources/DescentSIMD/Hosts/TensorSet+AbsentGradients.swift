import DescentCore

extension TensorSet {
    /// Runs a body with gradients in external memory, without a copy, of which some may be absent.
    ///
    /// - Parameters:
    ///   - tensors: The gradients, in any order.
    ///   - layout: The names, shapes and order that they have to have.
    ///   - body: What to do with the set, and for each parameter whether its gradient is absent and has no memory; empty if
    ///     none is.
    /// - Returns: What the body returns.
    /// - Throws: What ``withUnsafeTensors(_:layout:_:)`` throws; a tensor that is missing is refused where `missing` says so.
    /// - Complexity: O(n) in the number of tensors.
    static func withUnsafeGradients<Result>(
        _ tensors: [UnsafeTensor], layout: ParameterLayout,
        _ body: (inout TensorSet, _ isAbsent: [Bool]) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        guard tensors.count < layout.count else {
            return try withUnsafeTensors(tensors, layout: layout, mayDiffer: true) { gradients throws(DescentError) in
                try body(&gradients, [])
            }
        }
        var isAbsent = [Bool](repeating: true, count: layout.count)
        for tensor in tensors {
            if let index = layout.index(named: tensor.name) { isAbsent[index] = false }
        }
        // An address that nobody reads or writes.
        let nowhere = UnsafeMutableRawPointer.allocate(byteCount: 1, alignment: AlignedMemory.alignment)
        defer { nowhere.deallocate() }
        let elementType = tensors.first?.elementType ?? .float32
        let absent = layout.indices.filter { isAbsent[$0] }
            .map { UnsafeTensor(layout[$0], elementType, address: nowhere) }
        // One without elements lacks nothing.
        for index in layout.indices where layout[index].count == 0 { isAbsent[index] = false }
        let lacking = isAbsent.contains(true) ? isAbsent : []
        return try withUnsafeTensors(
            tensors + absent, layout: layout, mayDiffer: true
        ) { gradients throws(DescentError) in
            try body(&gradients, lacking)
        }
    }
}
