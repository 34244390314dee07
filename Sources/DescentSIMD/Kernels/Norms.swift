import CDescentKernels
import DescentCore

extension Kernels {
    /// Below this mean square, squares of floats begin to vanish and are made in Double instead.
    static let smallestMeanSquare = 0x1p-100

    /// The norm of a block, of its elements or of what is left of them without the means of rows.
    func norm(
        _ norm: Norm, _ source: UnsafePointer<Float>, rows: Int, columns: Int, means: UnsafePointer<Float>?
    ) -> Double {
        if case .lp(let p) = norm, Self.powersInLanes.contains(p) {
            return powerNorm(p, source, rows: rows, columns: columns, means: means)
        }
        var combiner = Norm.Combiner(norm)
        if let means {
            for row in 0..<rows {
                combiner.add(contiguousNorm(norm, source + row * columns, count: columns, minus: means[row]))
            }
        } else {
            combiner.add(contiguousNorm(norm, source, count: rows * columns, minus: 0))
        }
        return combiner.value
    }

    /// The L2 norm of g + decay * p, of a gradient without means and limits; nil where one pass cannot measure it.
    func decayedNorm(_ gradient: PendingGradient, _ parameters: UnsafePointer<Float>, _ decay: Float) -> Double? {
        let squares = withUnsafePointer(to: descent_pending(gradient)) {
            table.pointee.sum_of_decayed_squares($0, parameters, decay)
        }
        let smallest = Self.smallestMeanSquare * Double(gradient.rows * gradient.columns)
        return squares.isFinite && squares >= smallest ? squares.squareRoot() : nil
    }

    /// Adds up the squares of rows without their means, which are recorded on the way, row after row.
    ///
    /// One pass adds elements and squares; only where almost all of a row's size is its mean, so that the difference
    /// of the two would lose digits, or where squares leave the range of float, is the row read again.
    func addCenteredSquares(
        _ source: UnsafePointer<Float>, rows: Int, columns: Int, means: UnsafeMutablePointer<Float>,
        to total: inout Double
    ) {
        var row = 0
        while true {
            row = centeredSquares(source, from: row, rows: rows, columns: columns, means: means, total: &total)
            guard row < rows else { return }
            let elements = source + row * columns
            if !means[row].isFinite { means[row] = Self.meanInDouble(elements, count: columns) }
            let norm = contiguousNorm(.l2, elements, count: columns, minus: means[row])
            total += norm * norm
            row += 1
        }
    }

    /// The mean of each row.
    func rowMeans(
        _ source: UnsafePointer<Float>, rows: Int, columns: Int, into means: UnsafeMutablePointer<Float>
    ) {
        guard !fillRowMeans(source, rows: rows, columns: columns, into: means) else { return }
        for row in 0..<rows where !means[row].isFinite {
            means[row] = Self.meanInDouble(source + row * columns, count: columns)
        }
    }

    private static func meanInDouble(_ source: UnsafePointer<Float>, count: Int) -> Float {
        var sum = 0.0
        for index in 0..<count { sum += Double(source[index]) }
        return Float(sum / Double(count))
    }

    /// The norm of contiguous elements less a number.
    private func contiguousNorm(
        _ norm: Norm, _ source: UnsafePointer<Float>, count: Int, minus mean: Float
    ) -> Double {
        switch norm {
        case .l1:
            let sum = sumOfMagnitudes(source, count: count, minus: mean)
            return sum.isFinite ? sum : Self.plain(norm, source, count: count, minus: mean)
        case .l2:
            let squares = sumOfSquares(source, count: count, minus: mean)
            if squares.isFinite, squares >= Self.smallestMeanSquare * Double(count) { return squares.squareRoot() }
            if squares == 0, largestMagnitude(source, count: count, minus: mean) == 0 { return 0 }
            return Self.plain(norm, source, count: count, minus: mean)
        case .lInfinity:
            return Double(largestMagnitude(source, count: count, minus: mean))
        case .lp:
            return Self.plain(norm, source, count: count, minus: mean)
        }
    }

    /// The definition, element by element in Double: for what float lanes cannot hold.
    static func plain(
        _ norm: Norm, _ source: UnsafePointer<Float>, count: Int, minus mean: Float
    ) -> Double {
        var combiner = Norm.Combiner(norm)
        for index in 0..<count { combiner.add(Double((source[index] - mean).magnitude)) }
        return combiner.value
    }
}
