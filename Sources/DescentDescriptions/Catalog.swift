public import DescentCore
import DescentOptimizers
public import DescentTransforms

/// The stages, optimizers, schedules and shared loss scales that a document may name.
///
/// It is a value that is handed over where a document is read: nothing is registered, and nothing depends on what has
/// been loaded when.
/// ```swift
/// let catalog = Catalog.standard.adding(GradientNoise.self).adding(scale, named: "adversarial")
/// ```
public struct Catalog: Sendable {
    /// The stages, by the names of their types.
    public private(set) var stages: [String: any DescribedStage.Type] = [:]
    /// The optimizers, by the names of their types.
    public private(set) var optimizers: [String: any DescribedOptimizer.Type] = [:]
    /// The rules of schedules besides Descent's, by the names of their types.
    public private(set) var scheduleRules: [String: any ScheduleRule.Type] = [:]
    private var lossScales: [String: SharedLossScale] = [:]

    /// All stages and optimizers of Descent's.
    public static let standard = Catalog()
        .adding(Accumulate.self).adding(AddNoise.self).adding(Cautious.self).adding(Centralize.self)
        .adding(ClipAdaptively.self)
        .adding(ClipByGlobalNorm.self).adding(ClipByNorm.self).adding(ClipByPercentile.self)
        .adding(ClipByValue.self).adding(ClipByZScore.self).adding(ClipLayerwise.self).adding(Freeze.self)
        .adding(Mask.self).adding(Normalize.self).adding(Scale.self).adding(TopK.self).adding(TrustRatio.self)
        .adding(Unscale.self)
        .adding(ZeroNonFinite.self)
        .adding(AdEMAMix.self).adding(AdaBelief.self).adding(Adadelta.self).adding(Adafactor.self).adding(Adagrad.self)
        .adding(Adam.self).adding(AdamW.self).adding(Adamax.self).adding(LAMB.self).adding(LARS.self).adding(Lion.self)
        .adding(NAdam.self).adding(NovoGrad.self).adding(RAdam.self).adding(RMSProp.self).adding(SGD.self)
        .adding(ScheduleFreeAdamW.self).adding(Yogi.self)
        .adding(ExponentialMovingAverage.self).adding(Lookahead.self)

    /// A catalog without anything in it.
    public init() {}

    /// The same catalog with a stage, by the name of its type; it takes the place of another of that name.
    public func adding<Stage: DescribedStage>(_ stage: Stage.Type) -> Catalog {
        var catalog = self
        catalog.stages[stage.typeName] = stage
        return catalog
    }

    /// The same catalog with an optimizer, by the name of its type; it takes the place of another of that name.
    public func adding<Described: DescribedOptimizer>(_ optimizer: Described.Type) -> Catalog {
        var catalog = self
        catalog.optimizers[optimizer.typeName] = optimizer
        return catalog
    }

    /// The same catalog with a schedule's rule, by the name of its type: `{"learningRate": {"Sawtooth": {"peak": 0.01}}}`.
    ///
    /// It takes the place of another of that name, Descent's own included.
    public func adding<Rule: ScheduleRule>(_ rule: Rule.Type) -> Catalog {
        var catalog = self
        catalog.scheduleRules[rule.typeName] = rule
        return catalog
    }

    /// The same catalog with a loss scale that pipelines share: `{"stage": "Unscale", "shared": "adversarial"}`.
    public func adding(_ scale: SharedLossScale, named name: String) -> Catalog {
        var catalog = self
        catalog.lossScales[name] = scale
        return catalog
    }

    /// What stages and schedules look up while they are read and written.
    var userInfo: [CodingUserInfoKey: any Sendable] {
        var userInfo: [CodingUserInfoKey: any Sendable] = [:]
        if let key = CodingUserInfoKey.sharedLossScales { userInfo[key] = lossScales }
        if let key = CodingUserInfoKey.scheduleRules { userInfo[key] = scheduleRules }
        return userInfo
    }

    func stage(_ name: String, at place: String) throws(DescentError) -> any DescribedStage.Type {
        guard let stage = stages[name] else { throw Self.unknown("stage", name, at: place, among: stages.keys) }
        return stage
    }

    func optimizer(_ name: String, at place: String) throws(DescentError) -> any DescribedOptimizer.Type {
        guard let optimizer = optimizers[name] else {
            throw Self.unknown("optimizer", name, at: place, among: optimizers.keys)
        }
        return optimizer
    }

    private static func unknown(
        _ what: String, _ name: String, at place: String, among names: some Sequence<String>
    ) -> DescentError {
        let names = names.sorted()
        let hint = name.nearest(among: names).map { "did you mean \"\($0)\"?" }
        return DescentError(
            .unknownSetting,
            "unknown \(what) \(name.quotedBriefly) at \(place); "
                + (hint ?? "known are \(names.joined(separator: ", ")). Others have to be added to the catalog."))
    }
}
