import DescentCore
public import DescentSIMD
public import _Differentiation

extension TensorSet: @retroactive Differentiable {
    /// A direction in which to move the tensors of a set, or a gradient with respect to them: elements by name.
    ///
    /// A tensor without elements here stands for zeros, and so does one with none.
    public struct TangentVector: Differentiable, AdditiveArithmetic, Sendable {
        /// A tangent vector is its own tangent vector.
        public typealias TangentVector = Self

        /// The elements in row-major order, for each tensor that is not zero.
        public var elements: [String: [Float]]

        /// Makes a tangent vector of elements by name.
        public init(_ elements: [String: [Float]] = [:]) { self.elements = elements }

        /// No movement.
        public static var zero: Self { Self() }

        /// The sum, element by element.
        ///
        /// - Precondition: Tensors that both have are of the same size.
        /// - Complexity: O(n) in the number of elements that both have.
        public static func + (left: Self, right: Self) -> Self { combine(left, right, +) }

        /// The difference, element by element.
        ///
        /// - Precondition: Tensors that both have are of the same size.
        /// - Complexity: O(n) in the number of elements that the right one has.
        public static func - (left: Self, right: Self) -> Self { combine(left, right, -) }

        /// Moves along another tangent vector.
        public mutating func move(by offset: Self) { self += offset }

        private static func combine(_ left: Self, _ right: Self, _ operation: (Float, Float) -> Float) -> Self {
            var result = left
            for (name, values) in right.elements where !values.isEmpty {
                let present = left.elements[name] ?? []
                stopUnless(
                    present.isEmpty || present.count == values.count,
                    "\"\(name)\" has \(present.count) elements in one tangent vector and \(values.count) in the other.")
                result.elements[name] = values.indices.map { operation(present.isEmpty ? 0 : present[$0], values[$0]) }
            }
            return result
        }
    }

    /// Adds a tangent vector.
    ///
    /// - Precondition: Each of its tensors has the name and the size of one in the set, which is float32.
    public mutating func move(by offset: TangentVector) {
        for (name, values) in offset.elements where !values.isEmpty {
            withMutableElements(of: name) { elements in
                stopUnless(
                    elements.count == values.count,
                    "\"\(name)\" has \(elements.count) elements, its tangent vector \(values.count).")
                for index in values.indices { elements[index] += values[index] }
            }
        }
    }

    /// The elements of a tensor in row-major order, as an array that can be differentiated.
    ///
    /// - Precondition: There is a tensor with that name.
    /// - Complexity: O(n) in the number of elements, which are copied.
    @differentiable(reverse)
    public func elements(of name: String) -> [Float] { self[name] }

    /// The derivative of ``elements(of:)``.
    @derivative(of: elements)
    @usableFromInline
    func _derivativeOfElements(
        of name: String
    ) -> (value: [Float], pullback: (Array<Float>.TangentVector) -> TangentVector) {
        (self[name], { TangentVector([name: $0.base]) })
    }
}

extension Array.DifferentiableView where Element: AdditiveArithmetic {
    /// The element at an index, or zero where there is none.
    ///
    /// The tangent vector of an array is empty where nothing depends on the array; a path with a plain subscript would
    /// then trap. In a list of parameters: `\.layers[orZero: 0].weight`.
    public subscript(orZero index: Int) -> Element { base.indices.contains(index) ? base[index] : .zero }
}
