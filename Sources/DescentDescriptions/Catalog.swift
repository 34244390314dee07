import DescentCore
import DescentJSON
import DescentOptimizers
import DescentTransforms

/// The stages and optimizers that a document may name.
///
/// It is a value that is handed over where a document is read: nothing is registered, and nothing depends on what has
/// been loaded when.
/// ```swift
/// let catalog = Catalog.standard.adding(GradientNoise.self)
/// ```
public struct Catalog: Sendable {
    private var stages: [String: any DescribedStage.Type] = [:]
    private var optimizers: [String: any DescribedOptimizer.Type] = [:]

    /// All stages and optimizers of Descent's that can be described.
    public static let standard = Catalog()
        .adding(Accumulate.self).adding(AddNoise.self).adding(Centralize.self).adding(ClipAdaptively.self)
        .adding(ClipByGlobalNorm.self).adding(ClipByNorm.self).adding(ClipByPercentile.self)
        .adding(ClipByValue.self).adding(ClipByZScore.self).adding(ClipLayerwise.self).adding(Freeze.self)
        .adding(Mask.self).adding(Normalize.self).adding(Scale.self).adding(Unscale.self).adding(ZeroNonFinite.self)
        .adding(Adagrad.self).adding(Adam.self).adding(AdamW.self).adding(LAMB.self).adding(Lion.self)
        .adding(RMSProp.self).adding(SGD.self)

    /// A catalog without anything in it.
    public init() {}

    /// The same catalog with a stage, by the name of its type; it takes the place of another of that name.
    public func adding<Stage: DescribedStage>(_ stage: Stage.Type) -> Catalog {
        var catalog = self
        catalog.stages[String(describing: stage)] = stage
        return catalog
    }

    /// The same catalog with an optimizer, by the name of its type; it takes the place of another of that name.
    public func adding<Described: DescribedOptimizer>(_ optimizer: Described.Type) -> Catalog {
        var catalog = self
        catalog.optimizers[String(describing: optimizer)] = optimizer
        return catalog
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

    /// Whether a document may name the type of a stage.
    func contains(_ stage: any DescribedStage) -> Bool { stages[String(describing: type(of: stage))] != nil }

    /// Whether a document may name the type of an optimizer.
    func contains(_ optimizer: any DescribedOptimizer) -> Bool {
        optimizers[String(describing: type(of: optimizer))] != nil
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
