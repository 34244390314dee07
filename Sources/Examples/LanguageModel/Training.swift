package import Descent

/// Trains a transformer on a text; a value that can be saved after any micro-batch, and goes on with the same bits.
package struct Training {
    private let settings: TrainingSettings
    private let corpus: Corpus
    private var parameters: TensorSet
    private var pipeline: Pipeline
    private var gradients: TensorSet
    /// How many micro-batches have been taken, whatever became of them.
    private var microBatchCount = 0

    /// Prepares a training.
    ///
    /// - Throws: `DescentError` if the pipeline cannot be built.
    package init(_ settings: TrainingSettings, on corpus: Corpus) throws {
        self.settings = settings
        self.corpus = corpus
        parameters = try settings.shape.initialParameters(
            tokenCount: corpus.vocabulary.count, seed: settings.seed)
        gradients = TensorSet(zeros: parameters.layout, settings.precision.elementType)
        pipeline = try Pipeline(for: parameters) {
            settings.stages
        } driving: {
            settings.optimizer
        }
    }

    /// Goes on from a checkpoint.
    ///
    /// - Throws: `DescentError` if there is none, or it is of another model; ``UnusableText`` if it is of another text.
    package init(resuming checkpoint: Checkpoint, _ settings: TrainingSettings, on corpus: Corpus) throws {
        try self.init(settings, on: corpus)
        guard checkpoint.metadata["text"] == "\(corpus.digest)" else {
            throw UnusableText("the checkpoint is of another text, so that its tokens mean other characters")
        }
        pipeline = try Pipeline(resuming: checkpoint, restoring: &parameters) {
            settings.stages
        } driving: {
            settings.optimizer
        }
        microBatchCount = checkpoint.metadata["microBatches"].flatMap { Int($0) } ?? 0
    }

    /// Saves everything that training needs to go on.
    ///
    /// - Throws: `DescentError` if the file cannot be written.
    package func checkpoint(to path: String) throws {
        let metadata = settings.metadata.merging(
            ["microBatches": "\(microBatchCount)", "text": "\(corpus.digest)"]
        ) { $1 }
        try pipeline.checkpoint(to: path, including: parameters, metadata: metadata)
    }

    /// How many parameters there are to learn.
    package var parameterCount: Int { parameters.layout.elementCount }

    /// After how many updates training ends.
    package var stepCount: Int { settings.stepCount }

    /// How many steps have updated the parameters.
    package var appliedSteps: Int { pipeline.appliedSteps }

    /// Whether all steps have been taken.
    package var isFinished: Bool { appliedSteps >= settings.stepCount }

    /// The stages and the optimizer, in a line.
    package var plan: String { String(pipeline.explain().prefix { $0 != "\n" }) }

    /// What one micro-batch was like.
    package struct MicroBatch {
        /// The mean loss over its tokens.
        package let loss: Double
        /// How many tokens it has.
        package let tokenCount: Int
        /// What became of it.
        package let outcome: StepOutcome
    }

    /// Runs one micro-batch forward, backward and through the pipeline.
    ///
    /// - Throws: `DescentError` if gradients still overflow at the smallest loss scale.
    package mutating func takeMicroBatch() throws -> MicroBatch {
        let batch = settings.batch(microBatchCount, of: corpus)
        microBatchCount += 1
        let model = Transformer(settings.shape, parameters, settings.precision)
        let activations = model.forward(batch)
        let scale = pipeline.lossScale
        model.backward(activations, lossScale: scale, into: &gradients)
        let outcome = try pipeline.step(
            &parameters, gradients: gradients, weight: Double(batch.tokens.count), lossScale: scale)
        return MicroBatch(loss: activations.loss.value, tokenCount: batch.tokens.count, outcome: outcome)
    }

    /// How many bytes the model keeps between its passes for the next micro-batch, and how many it would keep if all
    /// micro-batches of a step were one batch.
    package var activationByteCounts: (microBatch: Int, wholeBatch: Int) {
        let model = Transformer(settings.shape, parameters, settings.precision)
        let batches = (0..<settings.microBatchesPerStep).map {
            settings.batch(microBatchCount + $0, of: corpus)
        }
        return (model.forward(batches[0]).byteCount, model.forward(Batch(joining: batches)).byteCount)
    }

    /// The mean loss over the held-out text, with the average of the parameters.
    package func heldOutLoss() -> Double {
        let model = averagedModel
        let batches = heldOutBatches
        let sum = batches.reduce(0.0) { $0 + model.forward($1).loss.value * Double($1.tokens.count) }
        return sum / Double(batches.reduce(0) { $0 + $1.tokens.count })
    }

    /// The mean loss of a model that only counts pairs of characters.
    package func bigramLoss() -> Double {
        Bigram(corpus.training, tokenCount: corpus.vocabulary.count).loss(heldOutBatches)
    }

    /// Text that the model makes up, with the average of the parameters.
    ///
    /// - Parameters:
    ///   - beginning: What the text begins with.
    ///   - length: How many characters to add.
    ///   - write: Is given the beginning, then each character as the model comes to it.
    package func sample(after beginning: String, length: Int, write: (String) -> Void) {
        var sampling = Sampling(temperature: 0.7, seed: settings.seed)
        let model = averagedModel
        var tokens = corpus.vocabulary.tokens(of: beginning)
        write(beginning)
        for _ in 0..<length {
            let token = sampling.token(model.logits(after: tokens))
            write(String(corpus.vocabulary.character(of: token)))
            tokens = (tokens + [token]).suffix(settings.shape.context)
        }
    }

    private var averagedModel: Transformer {
        Transformer(settings.shape, pipeline.averagedParameters ?? parameters, settings.precision)
    }

    private var heldOutBatches: [Batch] {
        corpus.heldOutBatches(of: settings.passagesPerMicroBatch, context: settings.shape.context)
    }
}
