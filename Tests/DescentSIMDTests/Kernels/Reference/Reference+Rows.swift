import DescentCore

@testable import DescentSIMD

extension ReferenceArithmetic {
    /// Adds up the squares of rows without their means, one row after another.
    func addCenteredSquares(
        _ source: UnsafePointer<Float>, rows: Int, columns: Int, means: UnsafeMutablePointer<Float>,
        to total: inout Double
    ) {
        var row = 0
        while true {
            row = centeredSquares(source, from: row, rows: rows, columns: columns, means: means, total: &total)
            guard row < rows else { return }
            let elements = source + row * columns
            if !means[row].isFinite { means[row] = mean(elements, columns) }
            let norm = norm(elements, columns, minus: means[row])
            total += norm * norm
            row += 1
        }
    }

    /// The mean of each row.
    func rowMeans(
        _ source: UnsafePointer<Float>, rows: Int, columns: Int, into means: UnsafeMutablePointer<Float>
    ) {
        guard !fillRowMeans(source, rows: rows, columns: columns, into: means) else { return }
        for row in 0..<rows where !means[row].isFinite { means[row] = mean(source + row * columns, columns) }
    }

    private func mean(_ elements: UnsafePointer<Float>, _ count: Int) -> Float {
        Float((0..<count).reduce(0.0) { $0 + Double(elements[$1]) } / Double(count))
    }

    private func norm(_ elements: UnsafePointer<Float>, _ count: Int, minus mean: Float) -> Double {
        let squares = sumOfSquares(elements, count: count, minus: mean)
        if squares.isFinite, squares >= Kernels.smallestMeanSquare * Double(count) { return squares.squareRoot() }
        if squares == 0, largestMagnitude(elements, count: count, minus: mean) == 0 { return 0 }
        var combiner = Norm.Combiner(.l2)
        for index in 0..<count { combiner.add(Double((elements[index] - mean).magnitude)) }
        return combiner.value
    }
}
