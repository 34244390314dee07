import Cmlx
public import DescentCore
import DescentSIMD
import MLX

/// An array and the name of its parameter.
typealias NamedArray = (name: String, array: MLXArray)

/// Arrays that have been evaluated, and where their elements lie.
///
/// The arrays are kept for as long as their memory is lent.
struct LentArrays {
    /// The arrays.
    let arrays: [MLXArray]
    private let tensors: [UnsafeTensor]

    /// Finds the memory of arrays that have been evaluated; nothing is copied, unless an array runs backwards in memory.
    ///
    /// - Throws: `DescentError` with code `elementTypeMismatch` for elements that are no floats of 16 or 32 bits.
    init(_ arrays: [NamedArray]) throws(DescentError) {
        var forward: [MLXArray] = []
        var tensors: [UnsafeTensor] = []
        forward.reserveCapacity(arrays.count)
        tensors.reserveCapacity(arrays.count)
        for (name, array) in arrays {
            var array = array
            if array.runsBackwards {
                array = array.contiguous()
                try MLXArray.evaluate([array])
            }
            forward.append(array)
            tensors.append(try UnsafeTensor(name, array))
        }
        (self.arrays, self.tensors) = (forward, tensors)
    }

    /// Makes new arrays of the same shapes and types, in row-major order, which share memory with no other: to be written.
    ///
    /// - Throws: `DescentError`, as evaluating does.
    /// - Complexity: O(n) in the number of elements.
    func makeBlank() throws(DescentError) -> LentArrays {
        let blank = arrays.map { MLX.zeros($0.shape, dtype: $0.dtype) }
        try MLXArray.evaluate(blank)
        return try LentArrays(zip(tensors, blank).map { ($0.name, $1) })
    }

    /// How each is stored.
    var elementTypes: [ElementType] { tensors.map(\.elementType) }

    /// How all are stored; nil if they differ.
    var elementType: ElementType? {
        let first = tensors.first?.elementType
        return tensors.allSatisfy { $0.elementType == first } ? first : nil
    }

    /// Runs a body with the arrays as tensors of one type: as they lie, or converted to float32 where types differ.
    ///
    /// - Throws: What the body throws, and `DescentError`, as evaluating does.
    func withTensorSet<Result>(
        _ layout: ParameterLayout, _ body: (TensorSet) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        guard elementType == nil else {
            return try withTensors { tensors throws(DescentError) in
                try TensorSet.withUnsafeTensors(tensors, layout: layout) { set throws(DescentError) in try body(set) }
            }
        }
        let converted = zip(tensors, arrays).map { ($0.name, $1.asType(.float32)) }
        try MLXArray.evaluate(converted.map(\.1))
        return try LentArrays(converted).withTensorSet(layout, body)
    }

    /// Lends the memory of these arrays and of others to a body.
    func withTensors<Result>(
        beside others: LentArrays,
        _ body: (_ own: [UnsafeTensor], _ others: [UnsafeTensor]) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        try withTensors { own throws(DescentError) in
            try others.withTensors { others throws(DescentError) in try body(own, others) }
        }
    }

    /// Lends the memory to a body, to read; and to write, where it is that of new arrays.
    func withTensors<Result>(
        _ body: ([UnsafeTensor]) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        defer { withExtendedLifetime(arrays) {} }
        return try body(tensors)
    }
}

extension DescentError.Code {
    /// MLX could not compute the values of an array.
    public static let evaluationFailed = DescentError.Code("evaluationFailed")
}

extension MLXArray {
    /// Has MLX compute arrays now, all together.
    ///
    /// - Throws: `DescentError` with code `evaluationFailed` where MLX cannot.
    static func evaluate(_ arrays: [MLXArray]) throws(DescentError) {
        do { try withError { MLX.eval(arrays) } } catch {
            let reason = if case .caught(let message)? = error as? MLXError { message } else { "\(error)" }
            throw DescentError(
                .evaluationFailed,
                "MLX cannot evaluate the gradients or the parameters: \(reason) Inside compile, vmap and other "
                    + "transformations no values can be read: compile the loss and its gradient, and call the optimizer outside."
            )
        }
    }

    /// How far its elements are apart along each axis, once it has been evaluated.
    fileprivate var evaluatedStrides: [Int] {
        guard ndim > 0, let strides = mlx_array_strides(ctx) else { return [] }
        return (0..<ndim).map { strides[$0] }
    }

    fileprivate var runsBackwards: Bool { evaluatedStrides.contains { $0 < 0 } }
}

extension UnsafeTensor {
    /// Describes an array that has been evaluated.
    fileprivate init(_ name: String, _ array: MLXArray) throws(DescentError) {
        let (shape, strides) = (array.shape, array.evaluatedStrides)
        let reach = array.size == 0 ? 0 : zip(shape, strides).reduce(1) { $0 + ($1.0 - 1) * $1.1 }
        // Any of MLX's functions for an array's memory gives its address, whatever the type.
        let address = UnsafeMutableRawPointer(mutating: mlx_array_data_uint8(array.ctx))
        func elements<Element>(as type: Element.Type) -> UnsafeMutableBufferPointer<Element> {
            UnsafeMutableBufferPointer(start: address?.assumingMemoryBound(to: type), count: address == nil ? 0 : reach)
        }
        switch array.dtype {
        case .float32: self.init(name, shape: shape, strides: strides, elements(as: Float.self))
        case .float16: self.init(name, shape: shape, strides: strides, bitPatterns: elements(as: UInt16.self), .float16)
        case .bfloat16:
            self.init(name, shape: shape, strides: strides, bitPatterns: elements(as: UInt16.self), .bfloat16)
        default:
            throw DescentError(
                .elementTypeMismatch, parameter: name,
                "\"\(name)\" is \(array.dtype); what is trained has to be float32, float16 or bfloat16. Freeze it, or convert it "
                    + "with asType(.float32).")
        }
    }
}
