public import DescentCore
import MLX
import MLXNN

/// Which of a model's parameters are trained, and under which names.
struct TrainedParameters {
    /// Their names, shapes and output axes; names of one array are tied.
    let layout: ParameterLayout

    /// Lists what a model does not hold frozen, sorted by name; an array under two names is listed once.
    ///
    /// - Throws: `DescentError` with code `invalidSetting` where nothing is to be trained, or where `outputsLast` names what
    ///   is not there.
    init(of model: Module, outputsLast: ParameterSelection?) throws(DescentError) {
        let found = Dictionary(model.trainableParameters().flattened()) { first, _ in first }
        guard !found.isEmpty else {
            throw DescentError(
                .invalidSetting,
                "The model has no parameters to train: all are frozen, or there are none. Call unfreeze() on what is to be trained."
            )
        }
        var firstNames: [ObjectIdentifier: String] = [:]
        var names: [String: String] = [:]
        var shapes: [(String, [Int])] = []
        for parameter in try ParameterLayout(shapes: found.mapValues(\.shape)) {
            guard let array = found[parameter.name] else { continue }
            if let first = firstNames[ObjectIdentifier(array)] {
                names[parameter.name] = first
            } else {
                firstNames[ObjectIdentifier(array)] = parameter.name
                shapes.append((parameter.name, parameter.shape))
            }
        }
        layout = try ParameterLayout(shapes: shapes, outputsLast: outputsLast).tying(names)
    }

    /// The arrays of a model, in the order of the layout.
    ///
    /// - Throws: `DescentError` with code `missingParameter`.
    func parameters(of model: Module) throws(DescentError) -> [NamedArray] {
        let found = Dictionary(model.parameters().flattened()) { first, _ in first }
        var parameters: [NamedArray] = []
        parameters.reserveCapacity(layout.count)
        for parameter in layout {
            guard let array = found[parameter.name] else {
                throw DescentError(
                    .missingParameter, parameter: parameter.name,
                    "The model has no parameter \"\(parameter.name)\", which the optimizer was built for. If its modules have been "
                        + "replaced, call relayout(for: model).")
            }
            parameters.append((parameter.name, array))
        }
        return parameters
    }

    /// The arrays of a model, evaluated, in the order of the layout.
    ///
    /// - Throws: `DescentError`, as ``parameters(of:)`` and evaluating do.
    func lent(by model: Module) throws(DescentError) -> LentArrays {
        let parameters = try parameters(of: model)
        try MLXArray.evaluate(parameters.map(\.array))
        return try LentArrays(parameters)
    }

    /// Gradients, of which each has to be known.
    ///
    /// - Throws: `DescentError` with code `unexpectedParameter`.
    func known(_ gradients: ModuleParameters) throws(DescentError) -> [NamedArray] {
        let found = gradients.flattened()
        for (name, _) in found where layout.index(named: layout.tied[name] ?? name) == nil {
            throw DescentError(
                .unexpectedParameter, parameter: name,
                "There is a gradient of \"\(name)\", which the optimizer was not built for. If it has been thawed since, or added "
                    + "to the model, call relayout(for: model).")
        }
        return found.map { ($0, $1) }
    }
}

extension ParameterSelection {
    /// The two matrices of each low-rank adapter of mlx-swift-lm, `lora_a` and `lora_b`, whose outputs are the last axis.
    public static let lowRankAdapters = ParameterSelection.satisfying { parameter in
        parameter.name.hasSuffix("lora_a") || parameter.name.hasSuffix("lora_b")
    }
}
