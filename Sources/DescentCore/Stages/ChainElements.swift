/// The stages of a chain, sorted by what they are: the one place that asks.
struct ChainElements {
    /// All stages, in the order in which gradients flow.
    let stages: [any Stage]
    /// Those that are transforms.
    private(set) var transforms: [any GradientTransform] = []
    /// Where in the chain each transform stands.
    private(set) var transformPositions: [Int] = []
    /// The accumulation.
    private(set) var window: Window?
    /// The exchange with other processes, and where it stands.
    private(set) var exchange: (value: any GradientExchange, position: Int)?
    /// What is frozen, each with where its stage stands.
    private(set) var freezes: [(selection: ParameterSelection, position: Int)] = []

    /// The accumulation of a chain.
    struct Window {
        let settings: AccumulationWindow.Settings
        /// Where it stands.
        let position: Int
        /// How many transforms stand before it.
        let transformsBefore: Int
    }

    /// Sorts stages.
    ///
    /// - Throws: ``DescentError`` with code `stageOrder` for stages in the wrong order.
    init(_ stages: [any Stage]) throws(DescentError) {
        try StageOrder.check(stages)
        self.stages = stages
        for (position, stage) in stages.enumerated() {
            switch stage.element {
            case .transform(let transform):
                transforms.append(transform)
                transformPositions.append(position)
            case .window(let settings):
                try requireFirst(window?.position, position)
                window = Window(settings: settings, position: position, transformsBefore: transforms.count)
            case .exchange(let value):
                try requireFirst(exchange?.position, position)
                exchange = (value, position)
            case .freeze(let selection): freezes.append((selection, position))
            case .follower:
                throw DescentError(
                    .stageOrder, stage: stage.name,
                    "\(stage.name) follows the parameters as an optimizer moves them, but stands in front of it. Put it behind "
                        + "the optimizer: `AdamW().then { \(stage.name) }`.")
            }
        }
    }

    /// The chain with its transforms as they are now.
    func stages(with transforms: [any GradientTransform]) -> [any Stage] {
        var stages = stages
        for (position, transform) in zip(transformPositions, transforms) { stages[position] = transform }
        return stages
    }

    /// Refuses a second stage of a kind of which a chain has one at most.
    private func requireFirst(_ earlier: Int?, _ position: Int) throws(DescentError) {
        guard let earlier else { return }
        throw DescentError(
            .stageOrder, stage: stages[position].name,
            "\(stages[position].name) stands in the chain although \(stages[earlier].name) does: a chain has one of them at "
                + "most. Keep one of the two.")
    }

    /// Refuses a chain in which a transform stands between the start of a window and the exchange.
    ///
    /// - Throws: ``DescentError`` with code `stageOrder` that names both stages and the order that would be right.
    func requireExchangeInOrder() throws(DescentError) {
        guard let exchange = exchange?.position else { return }
        let first = window.map { $0.position + 1 } ?? 0
        guard let early = transformPositions.first(where: { first <= $0 && $0 < exchange }) else { return }
        var right = stages.map(\.name)
        right.insert(right.remove(at: exchange), at: first)
        throw DescentError(
            .stageOrder, stage: stages[exchange].name,
            "\(stages[exchange].name) exchanges gradients before anything else is done to a window, but "
                + "\(stages[early].name) stands before it. The order that is right: \(right.joined(separator: ", ")).")
    }
}
