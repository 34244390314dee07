import Foundation

/// What happened in the trainings, in sentences.
struct Explanation {
    /// The trainings.
    let runs: Runs

    /// The sentences, cut into lines for a terminal.
    var lines: [String] { secondMoment + [""] + rounding }

    /// Why AdamW alone learns so little.
    private var secondMoment: [String] {
        let worst = runs.unclipped.largestNorm
        guard let unclipped = runs.unclipped.movement(of: "input.weight", from: 10, to: 1_000),
            let clipped = runs.clipped.movement(of: "input.weight", from: 10, to: 1_000)
        else { return [] }
        return [
            "AdamW falls off the cliff either way. If not clipped, the gradient of step \(worst.step),",
            String(format: "of norm %.1e, stays in its second moment, by whose root later steps are", worst.norm),
            String(format: "divided: from step 10 to 1000 no input weight moves farther than %.2f;", unclipped),
            String(format: "if clipped, one moves by %.2f.", clipped),
        ]
    }

    /// How long full and quarter batches stay together.
    private var rounding: [String] {
        let differences = Run.snapshotSteps.compactMap { step in
            runs.clipped.largestDifference(from: runs.accumulated, after: step).map {
                String(format: "  after step %4ld  %.1e", step, $0)
            }
        }
        return ["The largest difference of a parameter between full batches and quarters:"] + differences
            + ["Another order of sums rounds otherwise, and chaotic training makes much of it."]
    }
}
