public import DescentCore

extension UnsafeTensor {
    /// Lends arrays that are parts of a value, all at the same time, without closures inside closures.
    ///
    /// ```swift
    /// try UnsafeTensor.lending(&model, [("weight", \.weight), ("bias", \.bias)]) { tensors throws(DescentError) in … }
    /// ```
    /// Each array is taken out of the value, lent, and put back, changed or not. A list of arrays has the paths
    /// `layout.indices.map { (layout[$0].name, \[[Float]].[$0]) }`.
    ///
    /// - Parameters:
    ///   - owner: The value, which is not to be used by the body: its arrays are empty meanwhile.
    ///   - arrays: For each tensor its name, and the way to its elements in row-major order; no array twice.
    ///   - body: What to do with the tensors, in the same order. They must not be used after it returns.
    /// - Returns: What the body returns.
    /// - Throws: What the body throws.
    /// - Complexity: O(n) in the number of arrays, as deep on the stack; also copies the elements of arrays that another
    ///   value shares.
    public static func lending<Owner, Result>(
        _ owner: inout Owner, _ arrays: [(name: String, path: WritableKeyPath<Owner, [Float]>)],
        _ body: ([UnsafeTensor]) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        var lent: [UnsafeTensor] = []
        lent.reserveCapacity(arrays.count)
        return try lend(&owner, arrays[...], &lent, body)
    }

    private static func lend<Owner, Result>(
        _ owner: inout Owner, _ arrays: ArraySlice<(name: String, path: WritableKeyPath<Owner, [Float]>)>,
        _ lent: inout [UnsafeTensor], _ body: ([UnsafeTensor]) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        guard let (name, path) = arrays.first else { return try body(lent) }
        var array: [Float] = []
        swap(&array, &owner[keyPath: path])
        defer { swap(&array, &owner[keyPath: path]) }
        return try array.withUnsafeMutableBufferPointer { elements throws(DescentError) in
            lent.append(UnsafeTensor(name, elements))
            return try lend(&owner, arrays.dropFirst(), &lent, body)
        }
    }
}
