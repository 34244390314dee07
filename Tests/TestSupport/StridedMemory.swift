package import Descent
import DescentCore

/// A tensor in memory of its own, in any order of axes and with gaps, as hosts hand them over.
package final class StridedMemory {
    package let shape: [Int]
    package let strides: [Int]
    private let elementType: ElementType
    private let words: UnsafeMutableBufferPointer<UInt16>
    private let floats: UnsafeMutableBufferPointer<Float>

    /// What lies in the gaps.
    private static let mark: Float = -12345

    /// Puts elements, in row-major order, where axes in another order and gaps say.
    ///
    /// - Parameters:
    ///   - values: The elements.
    ///   - shape: The tensor's shape.
    ///   - order: The axes in the order of memory, that with the farthest neighbours first.
    ///   - gap: How many elements lie between neighbours along the last of them, and after each run of them.
    ///   - elementType: How they are stored.
    package init(
        _ values: [Float], shape: [Int], order: [Int], gap: Int = 0, _ elementType: ElementType = .float32
    ) {
        self.shape = shape
        self.elementType = elementType
        var strides = shape.map { _ in 1 }
        var next = 1 + gap
        for axis in order.reversed() {
            strides[axis] = next
            next = next * max(1, shape[axis]) + gap
        }
        self.strides = strides
        words = .allocate(capacity: elementType == .float32 ? 0 : next)
        floats = .allocate(capacity: elementType == .float32 ? next : 0)
        words.initialize(repeating: BFloat16(Self.mark).bitPattern)
        floats.initialize(repeating: Self.mark)
        for (position, value) in zip(places, values) {
            switch elementType {
            case .float32: floats[position] = value
            case .float16: words[position] = Binary16(value).bitPattern
            case .bfloat16: words[position] = BFloat16(value).bitPattern
            case .int8, .uint8: preconditionFailure("gradients and parameters are not stored in 8 bits")
            }
        }
    }

    deinit {
        words.deallocate()
        floats.deallocate()
    }

    /// The tensor, under a name.
    package func tensor(_ name: String) -> UnsafeTensor {
        elementType == .float32
            ? UnsafeTensor(name, shape: shape, strides: strides, floats)
            : UnsafeTensor(name, shape: shape, strides: strides, bitPatterns: words, elementType)
    }

    /// Where each element lies, in row-major order.
    private var places: [Int] {
        zip(shape, strides).reduce([0]) { places, axis in
            places.flatMap { place in (0..<axis.0).map { place + $0 * axis.1 } }
        }
    }

    /// The elements, in row-major order.
    package var values: [Float] {
        places.map { place in
            switch elementType {
            case .float32: floats[place]
            case .float16: Float(Binary16(bitPattern: words[place]))
            case .bfloat16: Float(BFloat16(bitPattern: words[place]))
            case .int8, .uint8: preconditionFailure("gradients and parameters are not stored in 8 bits")
            }
        }
    }

    /// Whether nobody has written between the elements.
    package var gapsAreUntouched: Bool {
        let taken = Set(places)
        return floats.indices.allSatisfy { taken.contains($0) || floats[$0] == Self.mark }
            && words.indices.allSatisfy { taken.contains($0) || words[$0] == BFloat16(Self.mark).bitPattern }
    }
}

/// Tensors of a layout, each in an order of axes, with gaps and of a type drawn at random.
package struct StridedTensors {
    package let layout: ParameterLayout
    package let memory: [StridedMemory]

    /// Puts tensors somewhere.
    ///
    /// - Parameters:
    ///   - tensors: What they hold.
    ///   - seed: What is drawn.
    ///   - types: The types that are drawn from.
    package init(_ tensors: TensorSet, seed: UInt64, _ types: [ElementType] = [.float32]) {
        var generator = SeededGenerator(seed: seed)
        layout = tensors.layout
        memory = tensors.layout.map { parameter in
            StridedMemory(
                tensors[parameter.name], shape: parameter.shape,
                order: parameter.shape.indices.shuffled(using: &generator),
                gap: Int.random(in: 0...2, using: &generator),
                types.randomElement(using: &generator) ?? .float32)
        }
    }

    /// All of them, the last first.
    package var tensors: [UnsafeTensor] { zip(layout, memory).map { $1.tensor($0.name) }.reversed() }

    /// What they hold.
    package var set: TensorSet {
        var set = TensorSet(zeros: layout)
        for (parameter, memory) in zip(layout, memory) { set[parameter.name] = memory.values }
        return set
    }

    package var gapsAreUntouched: Bool { memory.allSatisfy(\.gapsAreUntouched) }
}
