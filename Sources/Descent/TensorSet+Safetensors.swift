public import DescentCore
public import DescentSIMD

extension TensorSet {
    /// Tensors with the contents of a safetensors file, in its order.
    ///
    /// ```swift
    /// let parameters = try TensorSet(contentsOf: "model.safetensors")
    /// ```
    ///
    /// Their element type is that of the file; float32 if it has tensors of several types.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - outputAxis: Which dimension is the output unit.
    /// - Throws: `DescentError` with code `fileAccess` or `invalidFile` for what is no safetensors file,
    ///   and `elementTypeMismatch` for elements that are neither float32, float16 nor bfloat16.
    public init(contentsOf path: String, outputAxis: OutputAxis = .first) throws(DescentError) {
        self = try SIMDBackend().tensors(contentsOf: path, outputAxis: outputAxis)
    }
}
