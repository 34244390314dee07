import Descent
import DescentCore

// MARK: Glue

extension VariableStorage {
    func tensor(_ name: String) -> UnsafeTensor {
        isFloat32 ? UnsafeTensor(name, floats) : UnsafeTensor(name, bitPatterns: words, .bfloat16)
    }
}

// MARK: End of glue

/// Whether variables are updated where they are, or get new memory.
protocol UpdatePlace { static var isElsewhere: Bool { get } }
enum InPlace: UpdatePlace { static let isElsewhere = false }
enum Elsewhere: UpdatePlace { static let isElsewhere = true }

/// Variables in bfloat16 trained by a pipeline.
struct VariableTraining<Place: UpdatePlace>: HostTraining {
    static var title: String {
        "variables with gradients, tied, bfloat16, " + (Place.isElsewhere ? "out of place" : "in place")
    }
    static var glue: (file: String, part: String) {
        ("VariableGlue", Place.isElsewhere ? " out of place" : " in place")
    }
    static var spoiled: String { "expert.weight" }

    private var model = VariableModel()
    private let layout: ParameterLayout
    private var pipeline: Pipeline

    init(window: Int) throws {
        // MARK: Glue
        layout = try ParameterLayout(shapes: model.variables.map { ($0.name, $0.shape) })
            .tying(["head.weight": "embedding.weight"])
        // MARK: End of glue
        pipeline = try Pipeline(for: TensorSet(zeros: layout), configuration: Self.configuration) {
            stages(window)
        } driving: {
            Adam(learningRate: 0.01)
        }
    }

    private static var configuration: PipelineConfiguration {
        // MARK: Glue
        PipelineConfiguration(missing: .skipParameter, lowPrecisionParameters: .masterCopies)
        // MARK: End of glue
    }

    func gradients(_ batch: Int, spoiling name: String?) -> [VariableStorage?] {
        model.backward(batch, spoiling: name)
        return model.variables.map(\.gradient)
    }

    func wrongGradients() -> [VariableStorage?] {
        gradients(0, spoiling: nil).map { $0?.isFloat32 == true ? VariableStorage([1, 2], isFloat32: true) : $0 }
    }

    mutating func step(_ gradients: [VariableStorage?]) throws -> StepOutcome {
        for (variable, gradient) in zip(model.variables, gradients) { variable.gradient = gradient }
        guard Place.isElsewhere else {
            // MARK: Glue in place
            return try pipeline.step(
                unsafeParameters: model.variables.map { $0.storage.tensor($0.name) },
                unsafeGradients: model.variables.compactMap { $0.gradient?.tensor($0.name) })
            // MARK: End of glue
        }
        // MARK: Glue out of place
        let updated = model.newStorages()
        let outcome = try pipeline.step(
            unsafeParameters: model.variables.map { $0.storage.tensor($0.name) },
            into: zip(model.variables, updated).map { $1.tensor($0.name) },
            unsafeGradients: model.variables.compactMap { $0.gradient?.tensor($0.name) })
        if outcome.isApplied { model.publish(updated) }
        // MARK: End of glue
        return outcome
    }

    /// Its calls can throw.
    mutating func stepKeepingError(_ gradients: [VariableStorage?]) -> Bool? { nil }

    var values: [[Float]] {
        let masters = pipeline.masterParameters
        let isStarted = pipeline.appliedSteps > 0
        return model.variables.map(\.storage.values)
            + ["embedding.weight", "expert.weight"].map { name in
                let stored = model.variables.first { $0.name == name }?.storage.values ?? []
                return isStarted ? masters?[name] ?? [] : stored
            }
    }

    func holdParameters() -> () -> [[Float]] {
        let held = Place.isElsewhere ? model.variables.map(\.storage) : []
        return { held.map(\.values) }
    }

    func read(_ gradients: [VariableStorage?]) -> [[Float]] { gradients.map { $0?.values ?? [] } }

    func resumed(by path: String, window: Int) throws -> Self {
        try pipeline.checkpoint(to: path)
        var other = self
        other.model = VariableModel()
        other.model.publish(model.newStorages())
        other.pipeline = try Pipeline(
            resuming: path, for: TensorSet(zeros: layout), configuration: Self.configuration
        ) {
            stages(window)
        } driving: {
            Adam(learningRate: 0.01)
        }
        return other
    }

    static func ownOperations(steps: Int) -> [[Float]] {
        let model = VariableModel()
        var adam = VariableAdam(rate: 0.01)
        for batch in 0..<steps {
            model.backward(batch)
            adam.step(model, maximumNorm: 1)
        }
        return model.variables.map(\.storage.values)
            + ["embedding.weight", "expert.weight"].map { name in
                model.variables.first { $0.name == name }.flatMap { adam.masters[ObjectIdentifier($0.storage)] } ?? []
            }
    }
}
