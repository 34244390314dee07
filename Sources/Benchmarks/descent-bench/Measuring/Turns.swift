/// Two things that were measured in turns, so that both saw the same moods of the machine.
struct Turns {
    /// The time of one step of the first, in each round.
    private(set) var first: [StepTime] = []
    /// The time of one step of the second, in each round.
    private(set) var second: [StepTime] = []

    /// How long a turn takes at least: a hundred thousand times what reading the clock does.
    private static let shortestTurn = 0.002
    /// How many rounds there are at least.
    private static let fewestRounds = 5

    /// Measures, after two rounds to warm up.
    ///
    /// - Parameters:
    ///   - seconds: For how long.
    ///   - stepOfFirst: Carries out one step of the first, and says how long it took.
    ///   - stepOfSecond: Carries out one step of the second, and says how long it took.
    /// - Throws: What the steps throw.
    init(
        seconds: Double, _ stepOfFirst: () throws -> StepTime, _ stepOfSecond: () throws -> StepTime
    ) rethrows {
        var counts = (first: 1, second: 1)
        for _ in 0..<2 {
            counts.first = Self.stepCount(try Self.turn(counts.first, stepOfFirst))
            counts.second = Self.stepCount(try Self.turn(counts.second, stepOfSecond))
        }
        let start = ContinuousClock.now
        while first.count < Self.fewestRounds || ContinuousClock.now - start < .seconds(seconds) {
            // Whoever comes second finds other things in the cache: change places every round.
            if first.count.isMultiple(of: 2) {
                first.append(try Self.turn(counts.first, stepOfFirst))
                second.append(try Self.turn(counts.second, stepOfSecond))
            } else {
                second.append(try Self.turn(counts.second, stepOfSecond))
                first.append(try Self.turn(counts.first, stepOfFirst))
            }
        }
    }

    /// The median of the ratios, taken round by round, of the second's time to the first's.
    func ratio(_ part: (StepTime) -> Double = { $0.whole }) -> Double {
        zip(first, second).map { part($1) / part($0) }.median
    }

    /// Several steps in a row; gives the mean time of one.
    private static func turn(_ count: Int, _ step: () throws -> StepTime) rethrows -> StepTime {
        var sum = StepTime()
        for _ in 0..<count { sum = sum + (try step()) }
        return sum / count
    }

    /// How many steps of such a length make a turn.
    private static func stepCount(_ time: StepTime) -> Int {
        max(1, Int((shortestTurn * 1e9 / time.whole).rounded(.up)))
    }
}

extension [Double] {
    /// The number in the middle when sorted, or the mean of the two in the middle.
    var median: Double {
        let sorted = sorted()
        return isEmpty ? .nan : (sorted[(count - 1) / 2] + sorted[count / 2]) / 2
    }
}
