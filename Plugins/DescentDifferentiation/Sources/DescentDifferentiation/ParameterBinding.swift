import DescentCore
import DescentSIMD
import _Differentiation

/// A listed parameter, bound to the names and shapes that it has in one model.
struct ParameterBinding<Model: Differentiable>: Sendable {
    let place: ModelParameter<Model>.Place
    /// What the pipeline calls it: one parameter, or those of a set of tensors.
    let layout: ParameterLayout

    /// Binds the parameter at a position of the list.
    ///
    /// - Throws: `DescentError` if it has no name, or another number of elements than its shape.
    init(_ parameter: ModelParameter<Model>, at position: Int, in model: Model) throws(DescentError) {
        place = parameter.place
        if case .tensors(let path, _) = place {
            layout = model[keyPath: path].layout
        } else {
            guard let name = parameter.name else {
                throw DescentError(
                    .invalidName,
                    "Parameter \(position) of the list, counted from 0, lies behind a subscript or a computed property, "
                        + "whose name is not known at run time; say `named: \"…\"`.")
            }
            let shape = parameter.shape ?? [place.elementCount(in: model)]
            layout = try ParameterLayout([
                ParameterDescription(name, shape: shape, outputAxis: parameter.outputAxis)
            ])
        }
        try requireMatch(of: model)
    }

    /// The name of the parameter; nil for those of a set of tensors.
    var arrayName: String? {
        if case .tensors = place { nil } else { layout.first?.name }
    }

    /// Refuses a model whose parameter has another size than when it was bound.
    func requireMatch(of model: Model) throws(DescentError) {
        if case .tensors(let path, _) = place {
            let set = model[keyPath: path]
            try layout.requireMatch(of: set.layout, as: "model's tensors")
            guard set.elementType == .float32 else {
                throw DescentError(
                    .elementTypeMismatch, parameter: layout.first?.name,
                    "The model's tensors are \(set.elementType); parameters have to be float32.")
            }
        } else {
            for description in layout { try require(place.elementCount(in: model), "The model's", description) }
        }
    }

    /// Notes the gradients that a tangent vector holds for this parameter.
    ///
    /// A gradient without elements stands for zeros: it is how Swift writes that nothing depends on an array.
    func gather(_ tangent: Model.TangentVector, into gradients: inout GradientArrays) throws(DescentError) {
        switch place {
        case .array(_, let path): try gather(tangent[keyPath: path].base, at: 0, into: &gradients)
        case .scalar(_, let path): try gather([tangent[keyPath: path]], at: 0, into: &gradients)
        case .tensors(_, let path):
            let elements = tangent[keyPath: path].elements
            if let unknown = elements.keys.filter({ layout.index(named: $0) == nil }).min() {
                throw DescentError(
                    .unexpectedParameter, parameter: unknown,
                    "There is a gradient for \"\(unknown)\", but the model has no tensor of that name.")
            }
            for (index, description) in layout.enumerated() {
                try gather(elements[description.name] ?? [], at: index, into: &gradients)
            }
        }
    }

    private func gather(_ gradient: [Float], at index: Int, into gradients: inout GradientArrays) throws(DescentError) {
        let description = layout[index]
        if gradient.isEmpty {
            gradients.append([Float](repeating: 0, count: description.count), description.name)
        } else {
            try require(gradient.count, "The gradient of", description)
            gradients.append(gradient, description.name)
        }
    }

    private func require(_ count: Int, _ owner: String, _ description: ParameterDescription) throws(DescentError) {
        guard count == description.count else {
            throw DescentError(
                .shapeMismatch, parameter: description.name,
                "\(owner) \"\(description.name)\" has \(count) elements; its shape \(description.shape) has "
                    + "\(description.count).")
        }
    }
}

extension ModelParameter.Place {
    /// How many elements the parameter has in a model, or 0 for a set of tensors, which knows its shapes.
    func elementCount(in model: Model) -> Int {
        switch self {
        case .array(let path, _): model[keyPath: path].count
        case .scalar: 1
        case .tensors: 0
        }
    }
}
