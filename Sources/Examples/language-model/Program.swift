import Descent
import ExampleSupport
import Foundation
import LanguageModel

@main struct Program {
    static func main() throws {
        let console = Console()
        let documents = try Corpus.documents(Corpus.documentation())
        let corpus = try Corpus(documents, context: 128)
        var settings = TrainingSettings()
        if CommandLine.arguments.count > 1 { settings.stepCount = Int(CommandLine.arguments[1])! }
        var training = try Training(settings, on: corpus)
        console.write("\(training.parameterCount) \(corpus.training.count) \(corpus.heldOut.count) \(corpus.vocabulary.count) bigram \(training.bigramLoss())")
        let clock = ContinuousClock()
        let start = clock.now
        var tokens = 0, loss = 0.0, n = 0
        while !training.isFinished {
            let micro = try training.takeMicroBatch()
            tokens += micro.tokenCount; loss += micro.loss; n += 1
            if n == 40 {
                console.write("\(training.appliedSteps) \(training.skippedSteps) \(loss / 40) tokens/s wall \(Double(tokens) / ((clock.now - start) / .seconds(1))) cpu/2 \(Double(tokens) / (Double(Foundation.clock()) / 2e6))  \(micro.activationByteCount)")
                loss = 0; n = 0
            }
            if training.appliedSteps % 200 == 0, micro.outcome.isApplied { console.write("held out \(training.heldOutLoss())") }
        }
        console.write("held out \(training.heldOutLoss())")
        console.write(training.sample(after: "A stage ", length: 400))
    }
}
