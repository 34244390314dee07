import Descent

// MARK: Glue

struct ListedGradients: HostGradients {
    var list: [OwnedTensor]

    mutating func withUnsafeTensors<Result>(
        _ body: ([UnsafeTensor]) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        try UnsafeTensor.lending(&list, list.indices.map { ("parameter \($0)", \.[$0].elements) }, body)
    }
}

extension OwningMomentum: HostOptimizer {
    mutating func update(_ model: inout Void, gradients: ListedGradients) { update(along: gradients.list) }
}

func makeLayout(_ model: OwnedModel) throws -> ParameterLayout {
    try ParameterLayout(shapes: model.parameters.enumerated().map { ("parameter \($0)", $1.shape) })
}

// MARK: End of glue

/// A model that belongs to the host's optimizer, trained behind a chain.
struct OwningTraining: HostTraining {
    static let title = "an optimizer that owns its model, lists by position"
    static let glue = (file: "OwningGlue", part: "")
    static let spoiled = "parameter 2"

    private var optimizer: WrappedOptimizer<OwningMomentum>

    init(window: Int) throws {
        optimizer = WrappedOptimizer(
            OwningMomentum(rate: 0.01), behind: try Chain(for: makeLayout(OwnedModel())) { stages(window) })
    }

    func gradients(_ batch: Int, spoiling name: String?) -> ListedGradients {
        ListedGradients(list: optimizer.base.model.gradients(batch, spoiling: name == nil ? nil : 2))
    }

    func wrongGradients() -> ListedGradients {
        ListedGradients(list: Array(gradients(0, spoiling: nil).list.dropLast()))
    }

    mutating func step(_ gradients: ListedGradients) throws -> StepOutcome {
        try optimizer.update(gradients: gradients)
    }

    mutating func stepKeepingError(_ gradients: ListedGradients) -> Bool? {
        optimizer.updateKeepingError(gradients: gradients) != nil
    }

    var values: [[Float]] { optimizer.base.model.parameters.map(\.elements) }

    func holdParameters() -> () -> [[Float]] {
        let held = optimizer.base.model
        return { held.parameters.map(\.elements) }
    }

    func read(_ gradients: ListedGradients) -> [[Float]] { gradients.list.map(\.elements) }

    func resumed(by path: String, window: Int) throws -> Self {
        try optimizer.chain.checkpoint(to: path)
        var other = self
        other.optimizer = WrappedOptimizer(
            optimizer.base, behind: try Chain(resuming: path, for: makeLayout(OwnedModel())) { stages(window) })
        return other
    }

    static func ownOperations(steps: Int) -> [[Float]] {
        var optimizer = OwningMomentum(rate: 0.01)
        for batch in 0..<steps {
            optimizer.update(along: OwningMomentum.clipped(optimizer.model.gradients(batch), maximumNorm: 1))
        }
        return optimizer.model.parameters.map(\.elements)
    }
}
