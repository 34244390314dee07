import Foundation

/// Two ways to train, from the same seeds: whether the second ends where the first does.
package struct SeedComparison {
    private let seeds: ClosedRange<UInt64>
    private let rows: [(name: String, results: [Double])]

    /// Trains in both ways from each seed, with a line on the way for each training.
    ///
    /// - Parameters:
    ///   - seeds: The seeds.
    ///   - first: What the first way is called.
    ///   - second: What the second way is called.
    ///   - console: Where lines are written.
    ///   - train: Trains in the first way or the second, from a seed, and gives the number that it ends with.
    /// - Throws: What training throws.
    package init(
        seeds: ClosedRange<UInt64>, _ first: String, _ second: String, _ console: Console,
        train: (_ isSecond: Bool, _ seed: UInt64) throws -> Double
    ) throws {
        self.seeds = seeds
        rows = try [first, second].enumerated().map { index, name in
            let results = try seeds.map { seed in
                let result = try train(index == 1, seed)
                console.write(String(format: "seed \(seed), \(name): %.5f", result))
                return result
            }
            return (name, results)
        }
    }

    private static func mean(_ results: [Double]) -> Double { results.reduce(0, +) / Double(results.count) }

    /// Whether the mean of the second lies between the smallest and the largest of the first.
    package var agrees: Bool {
        let (least, most) = (rows[0].results.min() ?? .nan, rows[0].results.max() ?? .nan)
        let mean = Self.mean(rows[1].results)
        return mean >= least && mean <= most
    }

    /// A line for each way, and what they say.
    package var lines: [String] {
        rows.map { name, results in
            let (least, most) = (results.min() ?? .nan, results.max() ?? .nan)
            return String(format: "\(name): mean %.5f, from %.5f to %.5f", Self.mean(results), least, most)
        } + [
            "The mean of \(rows[1].name) is \(agrees ? "within" : "outside") the spread of \(rows[0].name), "
                + "over \(seeds.count) seeds."
        ]
    }
}
