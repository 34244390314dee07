extension GradientTransform {
    /// The same stage for some of the parameters: others pass unchanged and do not count in its norms.
    ///
    /// ```swift
    /// ClipByGlobalNorm(1).only { $0.name.hasPrefix("decoder.") }
    /// ```
    /// - Parameter condition: Which parameters the stage works on; it has to hold for one of them.
    /// - Returns: The stage, restricted. Stages that accumulate or undo a loss scale cannot be; that is refused when
    ///   the pipeline is built.
    public func only(where condition: @escaping @Sendable (ParameterDescription) -> Bool) -> Only<Self> {
        Only(self, .satisfying(condition))
    }

    /// The same stage for the parameters whose names begin like this; see ``only(where:)``.
    public func only(prefix: String) -> Only<Self> { Only(self, .named(prefix: prefix)) }
}

/// A stage that works on some of the parameters; made by ``GradientTransform/only(where:)``.
public struct Only<Base: GradientTransform>: GradientTransform {
    /// The stage that is restricted.
    public private(set) var base: Base
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

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try DescentError.require(
            !(base is any Accumulating || base is any LossScaling || base is any Excluding || base is any Exchanging)
                && base.lossScale == 1,
            name,
            "\(base.name) concerns all parameters and cannot be restricted to some.")
        try base.configure(for: layout)
        isChosen = layout.map(selection.contains)
        let names = layout.prefix(8).map { $0.name.cut(to: 80) }.joined(separator: ", ")
        try DescentError.require(
            layout.isEmpty || isChosen.contains(true), name, "no parameter is chosen; there are \(names).")
    }

    public mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {
        let outer = step.selection
        step.selection = chosen(within: outer)
        try base.prepare(&step)
        step.selection = outer
    }

    public func transform(_ block: inout some GradientBlock) {
        if isChosen[block.parameterIndex] { base.transform(&block) }
    }

    public mutating func finish(_ conclusion: StepConclusion) throws(DescentError) {
        var conclusion = conclusion
        conclusion.incoming.selection = chosen(within: conclusion.incoming.selection)
        try base.finish(conclusion)
    }

    private func chosen(within outer: [Bool]?) -> [Bool] {
        outer.map { zip($0, isChosen).map { $0 && $1 } } ?? isChosen
    }
}
