// A framework of lazy arrays, with the habits of those that there are. It knows nothing of Descent.

/// An array that is computed when it is first read; a copy is a reference to it, and views share its memory.
final class LazyArray {
    /// Memory that any number of arrays may look into.
    final class Buffer {
        let elements: UnsafeMutableBufferPointer<Float>

        init(_ values: [Float]) {
            elements = .allocate(capacity: values.count)
            _ = elements.initialize(from: values)
        }

        deinit { elements.deallocate() }
    }

    let shape: [Int]
    /// How many elements lie between neighbours along each axis; 0 where a single one is repeated.
    let strides: [Int]
    private var make: (() -> Buffer)?
    private var made: Buffer?

    private init(_ shape: [Int], strides: [Int], _ make: @escaping () -> Buffer) {
        (self.shape, self.strides, self.make) = (shape, strides, make)
    }

    /// An array in row-major order, whose elements are computed once somebody asks for them.
    convenience init(_ shape: [Int], _ values: @escaping () -> [Float]) {
        self.init(shape, strides: Self.rowMajor(shape)) { Buffer(values()) }
    }

    /// An array of zeros, with memory of its own.
    static func zeros(_ shape: [Int]) -> LazyArray {
        LazyArray(shape) { [Float](repeating: 0, count: shape.reduce(1, *)) }
    }

    private static func rowMajor(_ shape: [Int]) -> [Int] {
        shape.indices.map { shape[($0 + 1)...].reduce(1, *) }
    }

    private var buffer: Buffer {
        if let made { return made }
        let buffer = make?() ?? Buffer([])
        (made, make) = (buffer, nil)
        return buffer
    }

    /// The memory of the array and of everything that shares it, which is computed now.
    var memory: UnsafeMutableBufferPointer<Float> { buffer.elements }

    /// The elements in row-major order.
    var values: [Float] {
        var places = [0]
        for (extent, stride) in zip(shape, strides) {
            places = places.flatMap { place in (0..<extent).map { place + $0 * stride } }
        }
        let elements = memory
        return places.map { elements[$0] }
    }

    /// A view of the same memory, with the axes in the opposite order.
    var transposed: LazyArray { LazyArray(shape.reversed(), strides: strides.reversed()) { self.buffer } }

    /// A view of one element's memory that repeats it.
    func broadcast(to shape: [Int]) -> LazyArray { LazyArray(shape, strides: shape.map { _ in 0 }) { self.buffer } }

    /// The array without gaps: it may be a view of the same memory.
    var contiguous: LazyArray {
        strides == Self.rowMajor(shape) ? LazyArray(shape, strides: strides) { self.buffer } : map { $0 }
    }

    func map(_ transform: @escaping (Float) -> Float) -> LazyArray { LazyArray(shape) { self.values.map(transform) } }

    func combined(with other: LazyArray, _ combine: @escaping (Float, Float) -> Float) -> LazyArray {
        LazyArray(shape) { zip(self.values, other.values).map(combine) }
    }
}

/// Arrays nested under keys.
indirect enum NestedArrays {
    case array(LazyArray)
    case dictionary([String: NestedArrays])

    /// All arrays, with the keys that lead to them joined by dots.
    func flattened() -> [(String, LazyArray)] {
        switch self {
        case .array(let array): [("", array)]
        case .dictionary(let items):
            items.flatMap { key, item in item.flattened().map { ($0.0.isEmpty ? key : "\(key).\($0.0)", $0.1) } }
        }
    }

    func mapValues(_ transform: (LazyArray) -> LazyArray) -> NestedArrays {
        mapItems { _, array in transform(array) }
    }

    /// The same tree with other arrays, which are made of names and arrays.
    func mapItems(_ prefix: String = "", _ transform: (String, LazyArray) -> LazyArray) -> NestedArrays {
        switch self {
        case .array(let array): return .array(transform(prefix, array))
        case .dictionary(let items):
            var result: [String: NestedArrays] = [:]
            for (key, item) in items {
                result[key] = item.mapItems(prefix.isEmpty ? key : "\(prefix).\(key)", transform)
            }
            return .dictionary(result)
        }
    }
}

/// A model of two linear layers, one of them with an adapter that nothing depends on.
final class LazyModel {
    private(set) var parameters: NestedArrays

    init() {
        func linear(_ outputs: Int, _ inputs: Int) -> NestedArrays {
            .dictionary([
                "weight": .array(LazyArray([outputs, inputs]) { [] }), "bias": .array(LazyArray([outputs]) { [] }),
            ])
        }
        let shapes = NestedArrays.dictionary([
            "encoder": .dictionary(["first": linear(3, 4), "adapter": linear(2, 3)]), "head": linear(3, 2),
        ])
        parameters = shapes.mapItems { name, array in
            LazyArray(array.shape) { PlainProblem.start(of: name, count: array.shape.reduce(1, *)) }
        }
    }

    /// Publishes new arrays; who holds the old ones keeps them.
    func update(parameters: NestedArrays) { self.parameters = parameters }

    /// The gradients of a batch.
    ///
    /// Those of weights are transposed; those of both biases are one array; the adapter's are a single zero.
    func gradients(_ batch: Int, spoiling spoiled: String? = nil) -> NestedArrays {
        let zero = LazyArray([]) { [0] }
        let parameters = Dictionary(uniqueKeysWithValues: parameters.flattened())
        func gradient(_ name: String) -> LazyArray? {
            guard let array = parameters[name] else { return nil }
            return LazyArray(array.shape) {
                PlainProblem.gradient(of: name, at: array.values, batch: batch, isSpoiled: name == spoiled)
            }
        }
        let shared = gradient("head.bias")
        return self.parameters.mapItems { name, array in
            if name.contains("adapter") { return zero.broadcast(to: array.shape) }
            if name.hasSuffix("bias") { return shared?.contiguous ?? array }
            // As the product of what comes in and what goes out leaves it.
            let columns = gradient(name)?.transposed.map { $0 }
            return columns?.transposed ?? array
        }
    }
}

/// An optimizer that is handed a model and its gradients.
final class LazyAdam {
    private let rate: Float
    private var steps: Float = 0
    private var moments: [String: (first: LazyArray, second: LazyArray)] = [:]

    init(rate: Float) { self.rate = rate }

    /// An optimizer that goes on from where another one is.
    init(copying other: LazyAdam) { (rate, steps, moments) = (other.rate, other.steps, other.moments) }

    func update(model: LazyModel, gradients: NestedArrays) {
        steps += 1
        let (rate, corrections) = (rate, (1 - power(0.9, steps), 1 - power(0.999, steps)))
        let gradients = Dictionary(uniqueKeysWithValues: gradients.flattened())
        let updated = model.parameters.mapItems { name, parameter in
            guard let gradient = gradients[name] else { return parameter }
            let old = moments[name] ?? (gradient.map { _ in 0 }, gradient.map { _ in 0 })
            let first = old.first.combined(with: gradient) { 0.9 * $0 + 0.1 * $1 }
            let second = old.second.combined(with: gradient) { 0.999 * $0 + 0.001 * $1 * $1 }
            moments[name] = (first, second)
            let direction = first.combined(with: second) {
                $0 / corrections.0 / (($1 / corrections.1).squareRoot() + 1e-8)
            }
            return parameter.combined(with: direction) { $0 - rate * $1 }
        }
        model.update(parameters: updated)
    }

    private func power(_ base: Float, _ exponent: Float) -> Float {
        (0..<Int(exponent)).reduce(1) { power, _ in power * base }
    }

    /// Gradients whose norm is at most a maximum.
    static func clipped(_ gradients: NestedArrays, maximumNorm: Float) -> NestedArrays {
        let squares = gradients.flattened().sorted { $0.0 < $1.0 }.flatMap { $0.1.values.map { $0 * $0 } }
        let factor = min(1, maximumNorm / (squares.reduce(0, +).squareRoot() + 1e-6))
        return gradients.mapValues { gradient in gradient.map { factor * $0 } }
    }
}
