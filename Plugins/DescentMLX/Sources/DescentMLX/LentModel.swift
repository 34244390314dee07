import DescentCore
import MLX
import MLXNN

/// A model whose parameters are lent.
struct LentModel {
    let model: Module
    /// What is trained, in the order of the layout.
    let parameters: LentArrays
    private let structure: ModuleParameters
    private let layout: ParameterLayout

    /// Finds the memory of what is trained of a model, which has been evaluated.
    init(
        _ model: Module, _ structure: ModuleParameters, _ found: [NamedArray], layout: ParameterLayout
    ) throws(DescentError) {
        (self.model, self.structure, self.layout) = (model, structure, layout)
        parameters = try LentArrays(found)
    }

    /// Has the model take arrays, in the order of the layout, as its parameters.
    func take(_ arrays: [MLXArray]) { model.update(parameters: structured(arrays)) }

    /// Arrays, in the order of the layout, in the structure of the model; all else of it is left out.
    func structured(_ arrays: [MLXArray]) -> ModuleParameters {
        let named = Dictionary(uniqueKeysWithValues: zip(layout.lazy.map(\.name), arrays).map { ($0, $1) })
        return ModuleParameters(item: structure.asItem().replacing(named, prefix: ""))
    }
}

extension NestedItem<String, MLXArray> {
    /// The same structure with other arrays, by their names; those without are left out.
    ///
    /// MLX's `unflattened` would take a dictionary whose keys are numbers for a list.
    fileprivate func replacing(_ named: [String: MLXArray], prefix: String) -> NestedItem {
        func replaced(_ key: String, _ item: NestedItem) -> NestedItem {
            item.replacing(named, prefix: prefix.isEmpty ? key : "\(prefix).\(key)")
        }
        switch self {
        case .none: return .none
        case .value: return named[prefix].map { .value($0) } ?? .none
        case .array(let items): return .array(items.enumerated().map { replaced("\($0)", $1) })
        case .dictionary(let items):
            return .dictionary(Dictionary(uniqueKeysWithValues: items.map { ($0, replaced($0, $1)) }))
        }
    }
}
