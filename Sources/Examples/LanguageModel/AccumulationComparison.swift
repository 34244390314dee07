import Descent
import SeededNumbers

/// The same few steps from micro-batches and from batches as large as all of them together.
///
/// In float32, so that only the order of sums differs.
package struct AccumulationComparison {
    /// How far parameters may be from those of large batches, for micro-batches that count by their tokens.
    ///
    /// AdamW moves even those whose gradients are little more than rounding by as much as others.
    package static let tolerance: Float = 2e-4
    /// How many tokens each micro-batch of each step has.
    package private(set) var tokenCounts: [[Int]] = []
    /// How far a parameter of micro-batches that count by their tokens is from that of large batches, at most.
    package let weightedDifference: Float
    /// The same for micro-batches that all count alike.
    package let unweightedDifference: Float
    /// How far a parameter has moved, at most.
    package let largestMovement: Float
    /// How many bytes the model keeps between its passes for a micro-batch and for a large batch, at most.
    package private(set) var activationByteCounts = (microBatch: 0, wholeBatch: 0)

    /// Takes some steps in three ways.
    ///
    /// - Throws: `DescentError` if a pipeline cannot be built.
    package init(_ settings: TrainingSettings, on corpus: Corpus, stepCount: Int) throws {
        let shape = settings.shape
        let start = try shape.initialParameters(tokenCount: corpus.vocabulary.count, seed: settings.seed)
        let count = settings.microBatchesPerStep
        var whole = try Run(start, shape, [])
        var weighted = try Run(start, shape, [Accumulate(steps: count, reduction: .weighted)])
        var unweighted = try Run(start, shape, [Accumulate(steps: count, reduction: .mean)])
        for step in 0..<stepCount {
            let batches = (0..<count).map { settings.batch(step * count + $0, of: corpus) }
            tokenCounts.append(batches.map(\.tokens.count))
            for batch in batches {
                let bytes = try weighted.take(batch)
                activationByteCounts.microBatch = max(activationByteCounts.microBatch, bytes)
                _ = try unweighted.take(batch)
            }
            activationByteCounts.wholeBatch = max(
                activationByteCounts.wholeBatch, try whole.take(Batch(joining: batches)))
        }
        weightedDifference = weighted.parameters.largestDifference(from: whole.parameters)
        unweightedDifference = unweighted.parameters.largestDifference(from: whole.parameters)
        largestMovement = whole.parameters.largestDifference(from: start)
    }

    /// Parameters on their way.
    private struct Run {
        private(set) var parameters: TensorSet
        private var pipeline: Pipeline
        private var gradients: TensorSet
        private let shape: ModelShape

        init(_ start: TensorSet, _ shape: ModelShape, _ window: [any Stage]) throws {
            self.shape = shape
            parameters = start
            gradients = TensorSet(zeros: start.layout)
            pipeline = try Pipeline(for: start) {
                window
                ClipByGlobalNorm(1)
            } driving: {
                AdamW(learningRate: 1e-3, groups: [.vectorsWithoutDecay])
            }
        }

        /// Takes a batch, and tells how many bytes the model kept between its passes.
        mutating func take(_ batch: Batch) throws -> Int {
            let model = Transformer(shape, parameters, .float32)
            let activations = model.forward(batch)
            model.backward(activations, lossScale: 1, into: &gradients)
            _ = try pipeline.step(&parameters, gradients: gradients, weight: Double(batch.tokens.count))
            return activations.byteCount
        }
    }
}

extension TensorSet {
    /// The largest difference between elements in the same place; NaN if there is one.
    fileprivate func largestDifference(from other: TensorSet) -> Float {
        layout.reduce(0) { largest, parameter in
            zip(self[parameter.name], other[parameter.name]).reduce(largest) { largest, pair in
                let difference = (pair.0 - pair.1).magnitude
                return difference <= largest ? largest : difference
            }
        }
    }
}
