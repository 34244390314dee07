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

    /// Trains in four ways and compares them; exits with status 1 if what is claimed of them does not hold.
    static func main() {
        let console = Console()
        do {
            if CommandLine.arguments.dropFirst() == ["--moments"] { exit(try compareMoments(console) ? 0 : 1) }
            let file = try drawingFile()
            let runs = try train(console)
            try draw(runs, console, to: file)
            let claims = compare(runs, console)
            guard claims.allSatisfy(\.holds) else {
                for claim in claims where !claim.holds { console.complain("adding: \(claim.line)") }
                exit(1)
            }
        } catch {
            console.complain("adding: \(error)")
            exit(1)
        }
    }

    /// Where the drawing goes: to the path that the program is given, or to adding.svg where it runs.
    private static func drawingFile() throws -> URL {
        let arguments = CommandLine.arguments.dropFirst()
        guard arguments.count <= 1, arguments.first?.hasPrefix("-") != true else {
            throw BadArgument(
                """
                usage: adding [file]      trains in four ways, and draws into the file, instead of adding.svg
                       adding --moments   trains with moments in float32 and in 8 bits, from five seeds each
                """)
        }
        let file = URL(fileURLWithPath: arguments.first ?? "adding.svg")
        let folder = file.deletingLastPathComponent().path
        guard FileManager.default.isWritableFile(atPath: folder) else {
            throw BadArgument("nothing can be written into \(folder)")
        }
        return file
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
    private static func draw(_ runs: Runs, _ console: Console, to file: URL) throws {
        let mean = AddingProblem.errorOfGuessingTheMean
        let charts = [
            Chart(
                "Loss (mean squared error of a batch)", of: runs.all,
                level: .init(name: String(format: "guessing the mean: %.3f", mean), number: mean), number: \.loss),
            Chart(
                "Norm of the gradient", of: runs.all,
                level: .init(name: "where it is clipped: \(Variant.maximumNorm)", number: Double(Variant.maximumNorm)),
                number: \.gradientNorm),
        ].map { TerminalChart(chart: $0, isColored: console.isTerminal) }
        for chart in charts {
            for line in chart.lines { console.write(line) }
        }
        for line in charts[0].legend { console.write(line) }
        console.write()
        try SVGDrawing(charts: charts.map(\.chart)).text.write(to: file, atomically: true, encoding: .utf8)
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
