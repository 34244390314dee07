public import DescentCore
import DescentJSON
import Foundation

/// A chain, its optimizer and how they run, as a document in JSON describes them.
///
/// ```json
/// {
///   "stages": [
///     {"stage": "Accumulate", "steps": 4, "reduction": "weighted"},
///     {"stage": "Unscale", "lossScale": {"dynamic": {"growthInterval": 500}}},
///     "Centralize",
///     {"stage": "ClipByGlobalNorm", "maximum": 1, "only": "decoder."}
///   ],
///   "optimizer": {"optimizer": "AdamW", "learningRate": 0.001, "weightDecay": 0.01},
///   "configuration": {"nonFinite": {"skipAtMost": 20}, "reporting": ["layerNorms"]}
/// }
/// ```
/// Names are those of types, settings those of initializers; what is left out is what it is there. Whatever is unknown is
/// an error, with the nearest name that is known.
///
/// `only` restricts a transform: to parameters whose names begin so, in one of several ways (`["encoder.", "decoder."]`),
/// or by their ranks (`{"rank": [2, 4]}`). `then` lists the stages behind an optimizer:
/// `{"optimizer": "AdamW", "then": [{"stage": "ExponentialMovingAverage", "decay": 0.999}]}`. Several optimizers share the
/// parameters as a list, in which `only` says what each of them takes:
/// `"optimizers": [{"optimizer": "SGD", "learningRate": 0.1, "only": "head."}, "AdamW"]`; one that need not find any has
/// `"mayBeUnused": true`.
public struct PipelineDescription: Sendable {
    /// The stages, in the order in which gradients flow.
    public var stages: [any Stage]
    /// What ends the chain: the optimizers, each with the parameters that it takes and what stands behind it; none for a
    /// chain alone.
    public var branches: [OptimizerBranch]
    /// How the pipeline runs, whatever its stages.
    public var configuration: PipelineConfiguration

    /// Describes a chain and its optimizer.
    public init(
        stages: [any Stage], optimizer: (any Driving)? = nil,
        configuration: PipelineConfiguration = PipelineConfiguration()
    ) {
        self.init(stages: stages, branches: optimizer?.branches ?? [], configuration: configuration)
    }

    /// Describes a chain and its optimizers.
    public init(
        stages: [any Stage], branches: [OptimizerBranch],
        configuration: PipelineConfiguration = PipelineConfiguration()
    ) {
        self.stages = stages
        self.branches = branches
        self.configuration = configuration
    }

    /// The first of the optimizers; nil for a chain alone.
    ///
    /// To set it takes away all others, and what stands behind them.
    public var optimizer: (any Optimizer)? {
        get { branches.first?.optimizer }
        set { branches = newValue?.branches ?? [] }
    }

    /// Reads a document.
    ///
    /// - Parameters:
    ///   - text: The document, in JSON.
    ///   - catalog: What it may name.
    /// - Throws: `DescentError` with code `invalidJSON`, `invalidDocument` or `unknownSetting`, and the
    ///   place in the document.
    public init(parsing text: String, _ catalog: Catalog = .standard) throws(DescentError) {
        self = try DescriptionDocument(catalog: catalog).read(JSON(parsing: text))
    }

    /// Reads a document from a file.
    ///
    /// - Throws: `DescentError` with code `fileAccess`, or as ``init(parsing:_:)`` does.
    public init(contentsOf path: String, _ catalog: Catalog = .standard) throws(DescentError) {
        let text: String
        do { text = try String(contentsOfFile: path, encoding: .utf8) } catch {
            throw DescentError(.fileAccess, "Cannot read \"\(path)\": \(error.localizedDescription)")
        }
        do throws(DescentError) { try self.init(parsing: text, catalog) } catch {
            throw DescentError(
                error.code, parameter: error.parameter, stage: error.stage, "\"\(path)\": \(error.message)")
        }
    }

    /// The document, with every setting.
    ///
    /// - Parameter catalog: What it may name.
    /// - Returns: JSON, over several lines.
    /// - Throws: `DescentError` with code `invalidDocument` that names a stage or optimizer that cannot be
    ///   described: one that has been given a closure, is not in the catalog, or does not conform to
    ///   `DescribedTransform` or `DescribedOptimizer`.
    public func text(_ catalog: Catalog = .standard) throws(DescentError) -> String {
        try DescriptionDocument(catalog: catalog).write(self).formatted()
    }
}
