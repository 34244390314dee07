import Descent

// MARK: Glue

extension NestedArrays: HostGradients {
    func withUnsafeTensors<Result>(
        _ body: ([UnsafeTensor]) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        try body(flattened().map { UnsafeTensor($0, shape: $1.shape, strides: $1.strides, $1.memory) })
    }

    func makeResults() -> NestedArrays? { mapValues { LazyArray.zeros($0.shape) } }
}

extension LazyAdam: HostOptimizer {
    func update(_ model: inout LazyModel, gradients: NestedArrays) { update(model: model, gradients: gradients) }
}

func makeLayout(_ model: LazyModel) throws -> ParameterLayout {
    try ParameterLayout(
        shapes: Dictionary(uniqueKeysWithValues: model.parameters.flattened().map { ($0, $1.shape) }))
}

// MARK: End of glue

/// Lazy arrays trained by the host's Adam behind a chain.
struct LazyArrayTraining: HostTraining {
    static let title = "lazy arrays that are references, gradients transposed"
    static let glue = (file: "LazyArrayGlue", part: "")
    static let spoiled = "encoder.first.weight"

    private var model = LazyModel()
    private var optimizer: WrappedOptimizer<LazyAdam>

    init(window: Int) throws {
        optimizer = WrappedOptimizer(LazyAdam(rate: 0.01), behind: try Chain(for: makeLayout(model)) { stages(window) })
    }

    func gradients(_ batch: Int, spoiling name: String?) -> NestedArrays { model.gradients(batch, spoiling: name) }

    func wrongGradients() -> NestedArrays {
        model.gradients(0).mapItems { name, array in name == Self.spoiled ? array.transposed : array }
    }

    mutating func step(_ gradients: NestedArrays) throws -> StepOutcome {
        try optimizer.update(model, gradients: gradients)
    }

    mutating func stepKeepingError(_ gradients: NestedArrays) -> Bool? {
        optimizer.updateKeepingError(model, gradients: gradients) != nil
    }

    var values: [[Float]] { Self.values(model.parameters) }

    func holdParameters() -> () -> [[Float]] {
        let held = model.parameters
        return { Self.values(held) }
    }

    func read(_ gradients: NestedArrays) -> [[Float]] { Self.values(gradients) }

    private static func values(_ arrays: NestedArrays) -> [[Float]] {
        arrays.flattened().sorted { $0.0 < $1.0 }.map(\.1.values)
    }

    func resumed(by path: String, window: Int) throws -> Self {
        try optimizer.chain.checkpoint(to: path)
        var other = self
        other.model = LazyModel()
        other.model.update(parameters: model.parameters)
        other.optimizer = WrappedOptimizer(
            LazyAdam(copying: optimizer.base),
            behind: try Chain(resuming: path, for: makeLayout(model)) { stages(window) })
        return other
    }

    static func ownOperations(steps: Int) -> [[Float]] {
        let (model, optimizer) = (LazyModel(), LazyAdam(rate: 0.01))
        for batch in 0..<steps {
            optimizer.update(model: model, gradients: LazyAdam.clipped(model.gradients(batch), maximumNorm: 1))
        }
        return values(model.parameters)
    }
}
