import Descent
import DigitsModel
import ExampleSupport
import Foundation

/// Trains a perceptron on handwritten digits in four ways, to show what a chain of gradient transforms is for.
@main
struct Program {
    private static let seed: UInt64 = 2_026
    private static let epochCount = 60
    private static let heldOutCount = 360
    /// The share of held-out images that the full chain has to recognize.
    private static let requiredAccuracy = 0.96

    private static let command = Command(
        "digits",
        usage: """
            usage: digits
                   digits --moments

            Trains a perceptron on handwritten digits in four ways: with float32 gradients, with gradients rounded to Float16,
            with a loss scale, and with a whole chain; each for \(epochCount) epochs. Fails if the last recognizes less than \
            \(Cell.share(requiredAccuracy)) of the
            \(heldOutCount) held-out images.

            --moments   trains the whole chain with moments in float32 and in 8 bits instead, from five seeds each, and fails
                        if they do not end alike; off by default

            Example:

              swift run -c release digits --moments
            """)

    private let console: Console
    private let digits: Digits
    private let heldOut: Digits

    static func main() {
        command.run { arguments, console in
            let comparesMoments = try arguments.next(if: "--moments")
            try arguments.end()
            command.complainIfNotOptimized(console)
            let program = try Program(console)
            if comparesMoments { return try program.compareMoments() ? 0 : 1 }
            let accuracy = try program.run()
            if accuracy >= requiredAccuracy { return 0 }
            console.complain(
                "digits: the full chain recognizes \(Cell.share(accuracy)) of the held-out images; "
                    + "at least \(Cell.share(requiredAccuracy)) are expected.")
            return 1
        }
    }

    private init(_ console: Console) throws {
        self.console = console
        (digits, heldOut) = try Digits.load().split(heldOut: Self.heldOutCount, seed: Self.seed)
    }

    /// Trains in four ways, and gives the held-out accuracy of the last.
    private func run() throws -> Double {
        let chain = Variant.chain(microBatchCount: Self.epochCount * Training.microBatchCount(of: digits.count))
        console.write(
            """
            A 64-64-10 perceptron learns \(digits.count) handwritten digits, four times from one seed;
            \(heldOut.count) others are held out. The plan of the full chain, which comes last:

            \(try training(chain).plan)

            \(EpochTable.legend)

            """)
        let comparison = Comparison(
            single: try train(.single, number: 1),
            half: try train(.half, number: 2),
            scaledHalf: try train(.scaledHalf, number: 3),
            chain: try train(chain, number: 4),
            heldOutCount: heldOut.count)
        console.write(
            """
            Side by side (skipped and clipped: of the whole training; the others: at its end)
            \(comparison.table)

            \(comparison.finding)
            """)
        return comparison.chain.last.accuracy
    }

    /// Trains the full chain with moments in float32 and in 8 bits, and says whether they end alike: the losses over the
    /// held-out images, which tell more than accuracies.
    private func compareMoments() throws -> Bool {
        let count = Self.epochCount * Training.microBatchCount(of: digits.count)
        let comparison = try SeedComparison(seeds: 1...5, "float32 moments", "8-bit moments", console) {
            isCoded, seed in
            let chain = Variant.chain(microBatchCount: count, moments: isCoded ? .int8 : .float32)
            var training = try Training(chain, on: digits, heldOut: heldOut, seed: seed)
            for number in 1...Self.epochCount {
                _ = try training.runEpoch()
                console.progress("seed \(seed), epoch \(number)/\(Self.epochCount)", isMilestone: false, isLast: false)
            }
            return training.heldOutLoss
        }
        for line in comparison.lines { console.write(line) }
        return comparison.agrees
    }

    private func training(_ variant: Variant) throws -> Training {
        try Training(variant, on: digits, heldOut: heldOut, seed: Self.seed)
    }

    /// Trains in one way, with a line an epoch.
    private func train(_ variant: Variant, number: Int) throws -> TrainingRecord {
        var training = try training(variant)
        var table = EpochTable(epochCount: Self.epochCount)
        var epochs: [Epoch] = []
        console.write("\(number) \(variant.name)\n\(table.header)")
        let duration = try ContinuousClock().measure {
            for number in 1...Self.epochCount {
                let epoch = try training.runEpoch()
                epochs.append(epoch)
                console.progress(
                    table.line(epoch), isMilestone: [1, 2, 5].contains(number) || number.isMultiple(of: 10),
                    isLast: number == Self.epochCount)
            }
        }
        let record = TrainingRecord(variant, epochs, duration)
        if let reason = record.firstSkip { console.write("  the first skip: \(reason)") }
        console.write()
        return record
    }
}
