import Descent
import LanguageModel
import TestSupport
import Testing

/// Training on a text: resumed with the same bits, accumulated as one batch, learning.
@Suite struct LanguageTrainingTests {
    private let corpus: Corpus
    private var settings = TrainingSettings()

    init() throws {
        let text = String(repeating: "the gradient of a sum is the sum of gradients. ", count: 60)
        corpus = try Corpus([text], context: 8)
        settings.shape = .tiny
        settings.stepCount = 12
    }

    @Test(arguments: [1, 6, 16, 31])
    func `a run that is saved and resumed after any micro-batch ends with the same bits`(_ count: Int) throws {
        let folder = try TemporaryFolder()
        var whole = try Training(settings, on: corpus)
        while !whole.isFinished { _ = try whole.takeMicroBatch() }
        try whole.checkpoint(to: folder["whole"])

        var first = try Training(settings, on: corpus)
        for _ in 0..<count { _ = try first.takeMicroBatch() }
        try first.checkpoint(to: folder["part"])
        var second = try Training(resuming: Checkpoint(contentsOf: folder["part"]), settings, on: corpus)
        while !second.isFinished { _ = try second.takeMicroBatch() }
        try second.checkpoint(to: folder["resumed"])
        #expect(try folder.read("resumed") == folder.read("whole"))
    }

    @Test func `a checkpoint of another text is refused`() throws {
        let folder = try TemporaryFolder()
        try Training(settings, on: corpus).checkpoint(to: folder["part"])
        let other = try Corpus([String(repeating: "another text about sums. ", count: 60)], context: 8)
        #expect(throws: UnusableText.self) {
            _ = try Training(resuming: Checkpoint(contentsOf: folder["part"]), settings, on: other)
        }
    }

    @Test func `micro-batches that count by their tokens make the step of one large batch`() throws {
        let comparison = try AccumulationComparison(settings, on: corpus, stepCount: 3)
        #expect(comparison.tokenCounts.contains { Set($0).count > 1 })
        #expect(comparison.weightedDifference <= AccumulationComparison.tolerance)
        #expect(comparison.unweightedDifference > 5 * AccumulationComparison.tolerance)
    }

    @Test func `a text that is too short is refused`() {
        #expect(throws: UnusableText.self) { _ = try Corpus(["short"], context: 8) }
    }

    @Test func `the bigram's loss is that of counted pairs`() throws {
        // After "a" always "b", after "b" always "a": with k = 5 pseudo-counts spread by frequency.
        var batch = Batch()
        batch.append([0, 1, 0])
        let loss = Bigram(Array(repeating: [0, 1], count: 1_000).flatMap { $0 }, tokenCount: 2).loss([batch])
        #expect(abs(loss - 5 * 0.5 / 1_005) < 1e-5)
    }
}
