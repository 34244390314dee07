extension GradientTransform {
    /// The same stage for some of the parameters: others pass unchanged and do not count in its norms.
    ///
    /// ```swift
    /// ClipByGlobalNorm(1).only { $0.name.hasPrefix("decoder.") }
    /// ```
    /// - Parameter condition: Which parameters the stage works on; it has to hold for one of them.
    /// - Returns: The stage, restricted. One that leaves gradients in another condition than it finds them, as `Unscale`
    ///   does, cannot be: others would be left behind. That is refused when the pipeline is built.
    public func only(where condition: @escaping @Sendable (ParameterDescription) -> Bool) -> Only<Self> {
        only(.satisfying(condition))
    }

    /// The same stage for the parameters whose names begin like this; see ``only(where:)``.
    public func only(prefix: String) -> Only<Self> { only(.named(prefix: prefix)) }

    /// The same stage for a selection of the parameters, such as `.rank(2...4)`; see ``only(where:)``.
    public func only(_ selection: ParameterSelection) -> Only<Self> { Only(self, selection) }
}

/// A stage around another one, by whose type its settings are changed too.
protocol StageAround: Stage {
    /// The stage inside; it becomes only stages of its own type.
    var inner: any Stage { get set }
}

/// A stage that works on some of the parameters; made by ``GradientTransform/only(where:)``.
public struct Only<Base: GradientTransform>: GradientTransform {
    /// The stage that is restricted.
    public var base: Base
    /// Which parameters it works on.
    public let selection: ParameterSelection
    private var isChosen: [Bool] = []

    init(_ base: Base, _ selection: ParameterSelection) {
        self.base = base
        self.selection = selection
    }

    public var state: Base.State {
        get { base.state }
        set { base.state = newValue }
    }
    public var name: String { "\(base.name).only" }
    public var order: StageOrder { base.order }
    public var requirements: [Requirement] { base.requirements }
    public var observations: [Requirement] { base.observations }
    public var repairsNonFinite: Bool { base.repairsNonFinite }
    public var canFail: Bool { base.canFail }
    public var effect: StageEffect { base.effect }
    public var lossScale: Float { base.lossScale }
    public var slots: [Slot] { base.slots }
    public var reach: StageReach { base.reach }
    public func scratchCount(for parameter: ParameterDescription) -> Int {
        selection.contains(parameter) ? base.scratchCount(for: parameter) : 0
    }
    public func dependsOnRows(of parameter: ParameterDescription) -> Bool { base.dependsOnRows(of: parameter) }
    public var restriction: ParameterSelection? { selection }
    public var savedSettings: (any ComponentState)? { base.savedSettings }
    public mutating func adopt(_ settings: any ComponentState) throws { try base.adopt(settings) }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try DescentError.require(
            base.order.leaves.isEmpty && base.lossScale == 1, name,
            "\(base.name) concerns all parameters and cannot be restricted to some.")
        try base.configure(for: layout)
        try selection.requireMatch(in: layout, of: name)
        isChosen = layout.map(selection.contains)
    }

    public mutating func relayout(from former: ParameterLayout, to layout: ParameterLayout) {
        base.relayout(from: former, to: layout)
    }

    public mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {
        let outer = step.selection
        step.selection = chosen(within: outer)
        try base.prepare(&step)
        step.selection = outer
    }

    public func measure(_ measurement: TensorMeasurement, of block: inout some GradientBlock) -> Double {
        isChosen[block.parameterIndex] ? base.measure(measurement, of: &block) : 0
    }

    public func transform(_ block: inout some GradientBlock) {
        if isChosen[block.parameterIndex] { base.transform(&block) }
    }

    public mutating func finish(_ result: StepResult) throws(DescentError) {
        var result = result
        result.incoming.selection = chosen(within: result.incoming.selection)
        try base.finish(result)
    }

    private func chosen(within outer: [Bool]?) -> [Bool] {
        outer.map { zip($0, isChosen).map { $0 && $1 } } ?? isChosen
    }
}

/// Written as the stage, with the selection among its settings: `{"stage": "ClipByNorm", "maximum": 1, "only": "head."}`.
extension Only: Codable, DescribedStage where Base: DescribedStage {
    private enum CodingKeys: CodingKey { case only }

    /// The name of the stage that is restricted.
    public static var typeName: String { Base.typeName }

    /// Reads the stage and its selection.
    public init(from decoder: any Decoder) throws {
        try self.init(Base(from: decoder), decoder.container(keyedBy: CodingKeys.self).value(.only))
    }

    /// Writes the stage and its selection.
    ///
    /// - Throws: ``DescentError`` with code `invalidDocument` for a selection by a closure, and for a stage that is restricted
    ///   twice.
    public func encode(to encoder: any Encoder) throws {
        guard base.restriction == nil else {
            throw DescentError(
                .invalidDocument, stage: name, "a stage that is restricted twice cannot be written down")
        }
        try base.encode(to: encoder)
        var settings = encoder.container(keyedBy: CodingKeys.self)
        try settings.encode(selection, forKey: .only)
    }
}

extension Only: StageAround {
    var inner: any Stage {
        get { base }
        set { if let stage = newValue as? Base { base = stage } }
    }
}
