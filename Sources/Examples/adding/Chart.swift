import ExampleSupport

/// Curves over the steps of a training, both axes logarithmic: a cliff takes one step, learning takes thousands.
struct Chart {
    /// A number to compare with.
    struct Level {
        /// What it stands for.
        let name: String
        /// The number.
        let number: Double
    }

    /// The steps, from left to right.
    static let steps = LogarithmicAxis(from: 1, to: Double(Training.stepCount))
    /// The steps that are labeled.
    static let labeledSteps = [1, 10, 100, 1_000, Training.stepCount]

    /// What the numbers are.
    let title: String
    /// The curves; where two meet, the earlier one is on top.
    let curves: [Curve]
    /// A number to compare with.
    let level: Level
    /// The numbers, from bottom to top.
    let axis: LogarithmicAxis

    /// A chart of some number that each step of some trainings has.
    init(_ title: String, of runs: [Run], level: Level, number: (Step) -> Double) {
        self.title = title
        self.level = level
        curves = runs.map { run in
            Curve(
                name: run.variant.name, style: run.variant.style,
                numbers: run.steps.map { $0.skip == nil ? number($0) : .infinity },
                ending: run.isStuck ? "skips every step from step \(run.steps.count - run.skippedInARow + 1) on" : nil)
        }
        axis = LogarithmicAxis(
            covering: curves.flatMap { $0.bins(100, along: Self.steps).map(\.median) } + [level.number / 2])
    }
}
