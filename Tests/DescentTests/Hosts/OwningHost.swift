// A framework whose optimizer owns the model and takes gradients by position. It knows nothing of Descent.

/// An array with a shape, a value.
struct OwnedTensor {
    let shape: [Int]
    var elements: [Float]
}

/// A model whose parameters have positions and no names.
struct OwnedModel {
    fileprivate(set) var parameters: [OwnedTensor] = [[4, 3], [4], [2, 4], [2]].enumerated().map { position, shape in
        OwnedTensor(
            shape: shape, elements: PlainProblem.start(of: "\(position)", count: shape.reduce(1, *)))
    }

    /// The gradients of a batch, in the order of the parameters.
    func gradients(_ batch: Int, spoiling spoiled: Int? = nil) -> [OwnedTensor] {
        parameters.enumerated().map { position, parameter in
            let gradient = PlainProblem.gradient(
                of: "\(position)", at: parameter.elements, batch: batch, isSpoiled: position == spoiled)
            return OwnedTensor(shape: parameter.shape, elements: gradient)
        }
    }
}

/// Gradient descent with momentum, of a model that it owns.
struct OwningMomentum {
    let rate: Float
    private(set) var model = OwnedModel()
    private var velocities: [[Float]] = []

    init(rate: Float) { self.rate = rate }

    /// Takes a step along gradients; what does not fit is a mistake of the program.
    mutating func update(along gradients: [OwnedTensor]) {
        precondition(gradients.count == model.parameters.count)
        if velocities.isEmpty { velocities = gradients.map { $0.elements.map { _ in 0 } } }
        for (position, gradient) in gradients.enumerated() {
            for index in gradient.elements.indices {
                velocities[position][index] = 0.9 * velocities[position][index] + gradient.elements[index]
                model.parameters[position].elements[index] -= rate * velocities[position][index]
            }
        }
    }

    /// Gradients whose norm is at most a maximum.
    static func clipped(_ gradients: [OwnedTensor], maximumNorm: Float) -> [OwnedTensor] {
        let norm = gradients.flatMap(\.elements).reduce(0) { $0 + $1 * $1 }.squareRoot()
        let factor = min(1, maximumNorm / (norm + 1e-6))
        return gradients.map { OwnedTensor(shape: $0.shape, elements: $0.elements.map { factor * $0 }) }
    }
}
