public import DescentCore
import DescentJSON
import Foundation

/// A chain and its optimizer, as a document in JSON describes them.
///
/// ```json
/// {
///   "stages": [
///     {"stage": "Accumulate", "steps": 4, "reduction": "weighted"},
///     {"stage": "Unscale", "lossScale": {"dynamic": {"growthInterval": 500}}},
///     "Centralize",
///     {"stage": "ClipByGlobalNorm", "maximum": 1, "only": "decoder."}
///   ],
///   "optimizer": {"optimizer": "AdamW", "learningRate": 0.001, "weightDecay": 0.01}
/// }
/// ```
/// Names are those of types, settings those of initializers; what is left out is what it is there. `only` restricts a
/// stage to parameters whose names begin so. Whatever is unknown is an error, with the nearest name that is known.
public struct PipelineDescription: Sendable {
    /// The stages, in the order in which gradients flow.
    public let stages: [any Stage]
    /// What ends the chain; nil for a chain alone.
    public let optimizer: (any Optimizer)?

    /// Describes a chain and its optimizer.
    public init(stages: [any Stage], optimizer: (any Optimizer)? = nil) {
        self.stages = stages
        self.optimizer = optimizer
    }

    /// Reads a document.
    ///
    /// - Parameters:
    ///   - text: The document, in JSON.
    ///   - catalog: The stages and optimizers that it may name.
    /// - Throws: `DescentError` with code `invalidJSON`, `invalidDocument` or `unknownSetting`, and the
    ///   place in the document.
    public init(parsing text: String, _ catalog: Catalog = .standard) throws(DescentError) {
        (stages, optimizer) = try Self.read(JSON(parsing: text), catalog)
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
    /// - Parameter catalog: The stages and optimizers that it may name.
    /// - Returns: JSON, over several lines.
    /// - Throws: `DescentError` with code `invalidDocument` that names a stage or optimizer that cannot be
    ///   described: one that has been given a closure, is not in the catalog, or does not conform to
    ///   ``DescribedTransform`` or ``DescribedOptimizer``.
    public func text(_ catalog: Catalog = .standard) throws(DescentError) -> String {
        try Self.write(stages, optimizer, catalog).formatted()
    }
}

extension GradientPipeline {
    /// Builds the pipeline that a document describes.
    ///
    /// - Parameters:
    ///   - parameters: The parameters to train.
    ///   - description: The chain and the optimizer.
    ///   - configuration: How the pipeline runs, whatever its stages.
    ///   - backend: Who does the arithmetic.
    /// - Throws: `DescentError` with code `invalidDocument` if there is no optimizer, or what building the
    ///   pipeline throws.
    public init(
        for parameters: Backend.Tensors, _ description: PipelineDescription,
        configuration: PipelineConfiguration = PipelineConfiguration(), on backend: Backend = Backend()
    ) throws(DescentError) {
        guard let optimizer = description.optimizer else {
            throw DescentError(.invalidDocument, "The description has no optimizer, which a pipeline needs.")
        }
        try self.init(
            for: parameters, configuration: configuration, on: backend,
            { description.stages }, driving: { optimizer })
    }

    /// What describes the chain and the optimizer.
    public var pipelineDescription: PipelineDescription { PipelineDescription(stages: stages, optimizer: optimizer) }
}
