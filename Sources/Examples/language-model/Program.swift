import Descent
import ExampleSupport
import Foundation
import LanguageModel

/// Trains a small transformer on text, with everything that such a training needs between gradients and parameters.
@main
struct Program {
    private static let settings = TrainingSettings()
    private static let comparedSteps = 5
    private static let command = Command(
        "language-model",
        usage: """
            usage: language-model [--steps n] [--checkpoint file] [--text file]...
                   language-model --resume file [--text file]...
                   language-model --compare [--text file]...

            Trains a transformer of characters on this repository's documentation, with Float16 activations and gradients.
            Fails if it does not predict the held-out text better than a bigram model, which counts pairs of characters.
            Ctrl-C ends it with a checkpoint, and a run that goes on from there ends with the same bits.

            --steps n          after how many updates training ends: \(settings.stepCount) by default, about two minutes. \
            An update takes
                               \(settings.microBatchesPerStep) micro-batches of \(settings.passagesPerMicroBatch) passages, \
            each of up to \(settings.shape.context) characters
            --checkpoint file  where a checkpoint goes when training is interrupted, and when it ends; by default only the
                               former is saved, to \(Arguments.usualCheckpoint)
            --resume file      goes on from a checkpoint to its number of steps, and leaves the next one in its place; by
                               default training starts afresh
            --text file        learns from this file of UTF-8; several can be given, and --resume needs them again; by
                               default from LICENSE, README.md and the articles
            --compare          takes \(comparedSteps) updates from micro-batches, \(comparedSteps) from large batches, \
            and compares the parameters

            Examples:

              swift run -c release language-model --steps 1200 --checkpoint long.safetensors
              swift run -c release language-model --text first.txt --text second.txt
            """)

    static func main() {
        command.run { arguments, console in
            let arguments = try Arguments(&arguments)
            command.complainIfNotOptimized(console)
            return try Program(arguments, console).run()
        }
    }

    private let arguments: Arguments
    private let console: Console
    private let corpus: Corpus

    private init(_ arguments: Arguments, _ console: Console) throws {
        self.arguments = arguments
        self.console = console
        let paths = try arguments.texts.isEmpty ? Corpus.documentation() : arguments.texts
        corpus = try Corpus(Corpus.documents(paths), context: Self.settings.shape.context)
    }

    /// Does what was asked for, and gives the status to end with.
    private func run() throws -> CInt {
        if arguments.compares {
            let comparison = try AccumulationComparison(Self.settings, on: corpus, stepCount: Self.comparedSteps)
            return AccumulationReport(comparison).write(to: console)
        }
        var training = try training()
        introduce(training)
        Interruption.catchSignals()
        try train(&training)
        Interruption.stopCatching()
        if let status = Interruption.status {
            try training.checkpoint(to: arguments.checkpointPath)
            console.write("Stopped after step \(training.appliedSteps); this goes on:")
            console.write("  " + arguments.resumingCommand)
            return status
        }
        if arguments.checkpoint != nil { try training.checkpoint(to: arguments.checkpointPath) }
        return conclude(training)
    }

    /// A training from the start or from a checkpoint.
    private func training() throws -> Training {
        guard let path = arguments.resumed else {
            var settings = Self.settings
            if let stepCount = arguments.stepCount { settings.stepCount = stepCount }
            return try Training(settings, on: corpus)
        }
        let checkpoint = try Checkpoint(contentsOf: path)
        return try Training(resuming: checkpoint, TrainingSettings(checkpoint), on: corpus)
    }

    /// Says what is about to happen.
    private func introduce(_ training: Training) {
        let text = arguments.texts.isEmpty ? "this repository's documentation" : "the text"
        let bytes = training.activationByteCounts
        console.write(
            """
            A transformer of \(training.parameterCount) parameters learns \(corpus.training.count) characters of \(text).
            \(corpus.heldOut.count) others are held out. Ctrl-C ends with a checkpoint.
            \(training.plan)
            Activations kept for the backward pass: \(Megabytes(bytes.microBatch)) of a micro-batch; \
            a step as one batch would keep \(Megabytes(bytes.wholeBatch)).
            """)
        if arguments.resumed != nil { console.write("Going on after step \(training.appliedSteps).") }
        console.write()
    }

    /// Trains until the end, or until a signal arrives.
    private func train(_ training: inout Training) throws {
        var progress = Progress(stepCount: training.stepCount)
        while !training.isFinished, Interruption.status == nil {
            let microBatch = try training.takeMicroBatch()
            progress.count(microBatch)
            switch microBatch.outcome {
            case .accumulated: break
            case .applied(let report):
                console.progress(
                    progress.line(report), isMilestone: report.appliedSteps.isMultiple(of: 10),
                    isLast: training.isFinished)
            case .skipped(let reason): console.write("step \(training.appliedSteps + 1) skipped: \(reason)")
            case .diverged(let divergence): throw Failure(description: "\(divergence)")
            }
        }
    }

    /// Writes what was learned, and gives 0 if it is enough.
    private func conclude(_ training: Training) -> CInt {
        console.write("\nText that the average of the parameters makes up:")
        training.sample(after: "\nA stage ", length: 400) { text in
            console.write(part: text.replacingOccurrences(of: "\n", with: "\n  "))
        }
        let (loss, bar) = (training.heldOutLoss(), training.bigramLoss())
        console.write(
            String(format: "\n\nHeld-out loss, nats a character: %.3f; a bigram model's is %.3f.", loss, bar))
        guard loss < bar else {
            console.complain("language-model: the transformer does not predict better than counting pairs does.")
            return 1
        }
        return 0
    }

    private struct Failure: Error, CustomStringConvertible {
        let description: String
    }
}
