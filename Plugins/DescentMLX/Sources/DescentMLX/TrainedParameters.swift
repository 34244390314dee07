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

    /// What is trained of a model's parameters, in the order of the layout.
    ///
    /// - Throws: `DescentError` with code `missingParameter`; or `sharedMemory`, where other names than before are one array.
    private func select(_ parameters: ModuleParameters) throws(DescentError) -> [NamedArray] {
        let found = Dictionary(parameters.flattened()) { first, _ in first }
        var selected: [NamedArray] = []
        var known: Set<ObjectIdentifier> = []
        selected.reserveCapacity(layout.count)
        for parameter in layout {
            guard let array = found[parameter.name] else {
                throw DescentError(
                    .missingParameter, parameter: parameter.name,
                    "The model has no parameter \"\(parameter.name)\", which the optimizer was built for. If its modules have been "
                        + "replaced, call relayout(for: model).")
            }
            guard known.insert(ObjectIdentifier(array)).inserted else { throw Self.tiesDiffer(parameter.name) }
            selected.append((parameter.name, array))
        }
        for (other, name) in layout.tied where found[other] !== found[name] { throw Self.tiesDiffer(other) }
        return selected
    }

    private static func tiesDiffer(_ name: String) -> DescentError {
        DescentError(
            .sharedMemory, parameter: name,
            "\"\(name)\" is one array with another parameter and was not, or was and is not: call relayout(for: model)."
        )
    }

    /// Has MLX compute a model's parameters, and other arrays together with them, and finds their memory.
    ///
    /// - Throws: `DescentError`, where the model's parameters are not those of the layout, or MLX cannot compute arrays.
    func lend(_ model: Module, evaluating others: [NamedArray] = []) throws(DescentError) -> LentModel {
        let structure = model.parameters()
        let found = try select(structure)
        try MLXArray.evaluate(found.map(\.array) + others.map(\.array))
        return try LentModel(model, structure, found, layout: layout)
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
        // Gradients of one array under two names are two, even where MLX has made them in one buffer.
        return found.map { ($0, layout.tied[$0] == nil ? $1 : $1 * MLXArray(1).asType($1.dtype)) }
    }
}

extension ParameterSelection {
    /// The two matrices of each low-rank adapter of mlx-swift-lm, `lora_a` and `lora_b`, whose outputs are the last axis.
    public static let lowRankAdapters = ParameterSelection.satisfying { parameter in
        parameter.name.hasSuffix("lora_a") || parameter.name.hasSuffix("lora_b")
    }
}
