import Foundation

/// Something that the program says of its trainings, what was found, and whether that agrees.
struct Claim {
    /// What the program says, and in brackets what was found.
    let statement: String
    /// Whether it holds.
    let holds: Bool

    /// The claim in a line.
    var line: String { (holds ? "holds: " : "fails: ") + statement }

    /// A training ends with an error on held-out sequences below a bound.
    static func ends(_ run: Run, below bound: Double) -> Claim {
        Claim(
            statement: "\(run.variant.name), ends below \(bound) (\(error(run.heldOutError)))",
            holds: run.heldOutError < bound)
    }

    /// A training ends with an error on held-out sequences above a bound, or without a finite one.
    static func ends(_ run: Run, above bound: Double) -> Claim {
        Claim(
            statement: "\(run.variant.name), ends above \(bound) (\(error(run.heldOutError)))",
            holds: !(run.heldOutError <= bound))
    }

    /// A training comes to where every step is skipped, and no skipped step changes a bit of the parameters.
    static func stops(_ run: Run) -> Claim {
        let finding = "\(run.skippedCount) steps skipped, \(run.skipsKeptParameters ? "no bit" : "parameters") changed"
        return Claim(
            statement: "\(run.variant.name), gets stuck with its parameters kept (\(finding))",
            holds: run.isStuck && run.skipsKeptParameters)
    }

    /// Two trainings have the same parameters, up to rounding, after a number of steps.
    static func agree(_ run: Run, _ other: Run, after step: Int, within tolerance: Float) -> Claim {
        let difference = run.largestDifference(from: other, after: step) ?? .nan
        return Claim(
            statement: "full and quarter batches agree to \(tolerance) after \(step) steps "
                + String(format: "(%.1e)", difference),
            holds: difference <= tolerance)
    }

    /// An error as the table shows it.
    static func error(_ error: Double) -> String { String(format: error < 1e4 ? "%.4f" : "%.0e", error) }
}
