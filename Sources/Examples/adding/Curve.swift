import ExampleSupport

/// A number for each step of a training, to be drawn.
struct Curve {
    /// What it is called in a legend.
    let name: String
    /// How it looks.
    let style: CurveStyle
    /// The numbers, from step 1 on; infinity where the step was skipped.
    let numbers: [Double]
    /// Why it ends before the others; nil if it does not.
    let ending: String?

    /// The steps that fall on one place of a chart.
    struct Bin {
        /// Which place, from 0.
        let place: Int
        /// The mean of its steps' numbers.
        let step: Double
        /// The smallest number.
        let low: Double
        /// The number with as many below it as above.
        let median: Double
        /// The largest number.
        let high: Double
    }

    /// Gathers steps by where they fall among so many places along an axis of steps.
    ///
    /// - Returns: The places on which steps fall, from left to right.
    func bins(_ count: Int, along axis: LogarithmicAxis) -> [Bin] {
        let places = Dictionary(grouping: numbers.indices) { index in
            Int((axis.position(of: Double(index + 1)) * Double(count - 1)).rounded())
        }
        return places.sorted { $0.key < $1.key }.map { place, indices in
            let sorted = indices.map { numbers[$0] }.sorted()
            return Bin(
                place: place,
                step: indices.reduce(0) { $0 + Double($1 + 1) } / Double(indices.count),
                low: sorted[0], median: sorted[sorted.count / 2], high: sorted[sorted.count - 1])
        }
    }
}
