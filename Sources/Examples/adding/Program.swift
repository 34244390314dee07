import Descent
import ExampleSupport
import Foundation

/// Trains a recurrent network on the adding problem, with its gradients clipped and not, to show what that is for.
///
/// A gradient that goes back through 50 steps can grow exponentially: the loss has cliffs, and one gradient from a
/// cliff's edge can end a training that does not clip it. Pascanu, Mikolov and Bengio, "On the difficulty of training
/// recurrent neural networks" (2013).
///
/// How a training ends depends on its seed. With seeds 1 to 14, AdamW solved the problem each time when clipped, and
/// once when not; gradient descent got stuck, its gradients not finite, nine times.
@main
struct Program {
    private static let seed: UInt64 = 6
    private static let command = Command(
        "adding",
        usage: """
            usage: adding [file]
                   adding --moments

            Trains a recurrent network to add two of \(AddingProblem.length) numbers in four ways, with gradients clipped \
            and not,
            each for \(Training.stepCount) steps. Draws loss and gradient norm in the terminal, and into a file.
            Fails if what it says of the trainings does not hold.

            file        where the drawing goes, as SVG; by default adding.svg
            --moments   trains with moments in float32 and in 8 bits instead, from five seeds each, and fails if they do not
                        end alike; off by default

            Examples:

              swift run -c release adding curves.svg
              swift run -c release adding --moments
            """)

    static func main() {
        command.run { arguments, console in
            if try arguments.next(if: "--moments") {
                try arguments.end()
                command.complainIfNotOptimized(console)
                return try compareMoments(console) ? 0 : 1
            }
            let file = try OutputFile(arguments.nextPath() ?? "adding.svg")
            try arguments.end()
            command.complainIfNotOptimized(console)
            let runs = try train(console)
            try draw(runs, console, to: file)
            let failures = compare(runs, console).filter { !$0.holds }
            for claim in failures { console.complain("adding: \(claim.line)") }
            return failures.isEmpty ? 0 : 1
        }
    }

    /// Trains in all four ways.
    private static func train(_ console: Console) throws -> Runs {
        console.write(
            "Adding two of \(AddingProblem.length) numbers: \(RecurrentNetwork.unitCount) recurrent ReLU units, "
                + "\(Training.stepCount) steps of \(Training.batchSize) sequences")
        console.write()
        let runs = Runs(
            clipped: try Training.run(.clipped, seed: seed, console),
            accumulated: try Training.run(.accumulated, seed: seed, console),
            unclipped: try Training.run(.unclipped, seed: seed, console),
            plain: try Training.run(.plain, seed: seed, console))
        console.write()
        return runs
    }

    /// Trains with moments in float32 and in 8 bits, and says whether they end alike: the errors on held-out sequences.
    private static func compareMoments(_ console: Console) throws -> Bool {
        let comparison = try SeedComparison(seeds: 1...5, "float32 moments", "8-bit moments", console) {
            isCoded, seed in
            try Training.run(.clipped(moments: isCoded ? .int8 : .float32), seed: seed, console).heldOutError
        }
        for line in comparison.lines { console.write(line) }
        return comparison.agrees
    }

    /// Draws the charts for the terminal and into a file.
    private static func draw(_ runs: Runs, _ console: Console, to file: OutputFile) throws {
        let mean = AddingProblem.errorOfGuessingTheMean
        let charts = [
            Chart(
                "Loss (mean squared error of a batch)", of: runs.all,
                level: .init(name: String(format: "guessing the mean: %.3f", mean), number: mean), number: \.loss),
            Chart(
                "Norm of the gradient", of: runs.all,
                level: .init(name: "where it is clipped: \(Variant.maximumNorm)", number: Double(Variant.maximumNorm)),
                number: \.gradientNorm),
        ].map { TerminalChart(chart: $0, isColored: console.isColored) }
        for chart in charts {
            for line in chart.lines { console.write(line) }
        }
        for line in charts[0].legend { console.write(line) }
        console.write()
        try SVGDrawing(charts: charts.map(\.chart)).text.write(toFile: file.path, atomically: true, encoding: .utf8)
        console.write("Drawn in \(file.path)")
        console.write()
    }

    /// Writes what happened and a table, and what is claimed of it.
    private static func compare(_ runs: Runs, _ console: Console) -> [Claim] {
        for line in Explanation(runs: runs).lines { console.write(line) }
        console.write()
        for line in ComparisonTable(runs: runs.all).lines { console.write(line) }
        console.write()
        let claims: [Claim] = [
            .ends(runs.clipped, below: 0.02),
            .ends(runs.accumulated, below: 0.02),
            .agree(runs.clipped, runs.accumulated, after: 10, within: 1e-5),
            .ends(runs.unclipped, above: 0.1),
            .stops(runs.plain),
        ]
        for claim in claims { console.write(claim.line) }
        return claims
    }
}
