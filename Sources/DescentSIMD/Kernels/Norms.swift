import DescentCore

extension Kernels {
    /// How many elements are added in float lanes before the sum moves on to Double.
    static let chunk = 4096
    /// Below this mean square, squares of floats begin to vanish and are made in Double instead.
    private static let smallestMeanSquare = 0x1p-100

    /// The norm of a block, of its elements or of what is left of them without the means of rows.
    static func norm(
        _ norm: Norm, _ source: UnsafePointer<Float>, rows: Int, columns: Int, means: UnsafePointer<Float>?
    ) -> Double {
        var combiner = Norm.Combiner(norm)
        if let means {
            for row in 0..<rows {
                combiner.add(stretch(norm, source + row * columns, count: columns, minus: means[row]))
            }
        } else {
            combiner.add(stretch(norm, source, count: rows * columns, minus: 0))
        }
        return combiner.value
    }

    /// The L2 norm of a block without the means of its rows, which are written down on the way.
    ///
    /// One pass adds elements and squares; only where almost all of a row's size is its mean, so that the difference
    /// of the two would lose digits, is the row read again.
    static func centeredNorm(
        _ source: UnsafePointer<Float>, rows: Int, columns: Int, means: UnsafeMutablePointer<Float>
    ) -> Double {
        var total = 0.0
        for row in 0..<rows {
            let elements = source + row * columns
            let sums = sumAndSquares(elements, count: columns)
            let mean = sums.sum / Double(columns)
            means[row] = Float(mean)
            let centered = sums.squares - sums.sum * mean
            let isPlain =
                centered.isFinite && centered >= 0.25 * sums.squares
                && sums.squares >= smallestMeanSquare * Double(columns)
            if isPlain {
                total += centered
            } else {
                if !mean.isFinite { means[row] = Float(meanInDouble(elements, count: columns)) }
                let norm = stretch(.l2, elements, count: columns, minus: means[row])
                total += norm * norm
            }
        }
        return total.squareRoot()
    }

    /// The mean of each row.
    static func rowMeans(
        _ source: UnsafePointer<Float>, rows: Int, columns: Int, into means: UnsafeMutablePointer<Float>
    ) {
        for row in 0..<rows {
            let elements = source + row * columns
            let mean = sumAndSquares(elements, count: columns).sum / Double(columns)
            means[row] = Float(mean.isFinite ? mean : meanInDouble(elements, count: columns))
        }
    }

    private static func meanInDouble(_ source: UnsafePointer<Float>, count: Int) -> Double {
        var sum = 0.0
        for index in 0..<count { sum += Double(source[index]) }
        return sum / Double(count)
    }

    private static func stretch(
        _ norm: Norm, _ source: UnsafePointer<Float>, count: Int, minus mean: Float
    ) -> Double {
        switch norm {
        case .l1:
            let sum = reduce(source, count: count, mean: mean) { $0 + magnitude($1) }
            return sum.isFinite ? sum : plain(norm, source, count: count, minus: mean)
        case .l2:
            let squares = reduce(source, count: count, mean: mean) { $0 + $1 * $1 }
            if squares.isFinite, squares >= smallestMeanSquare * Double(count) { return squares.squareRoot() }
            if squares == 0, largestMagnitude(source, count: count, minus: mean) == 0 { return 0 }
            return plain(norm, source, count: count, minus: mean)
        case .lInfinity:
            return Double(largestMagnitude(source, count: count, minus: mean))
        case .lp:
            return plain(norm, source, count: count, minus: mean)
        }
    }

    /// The definition, element by element in Double: for what float lanes cannot hold.
    private static func plain(
        _ norm: Norm, _ source: UnsafePointer<Float>, count: Int, minus mean: Float
    ) -> Double {
        var combiner = Norm.Combiner(norm)
        for index in 0..<count { combiner.add(Double((source[index] - mean).magnitude)) }
        return combiner.value
    }

    /// The largest magnitude, or NaN if there is one.
    private static func largestMagnitude(_ source: UnsafePointer<Float>, count: Int, minus mean: Float) -> Float {
        // Magnitudes order like their bit patterns, and NaN comes last.
        var lanes = SIMD16<UInt32>()
        var index = 0
        while index < count {
            let vector = load(source + index, count - index) - partial(mean, count - index)
            let bits = magnitudeBits(vector)
            lanes.replace(with: bits, where: bits .> lanes)
            index += 16
        }
        return Float(bitPattern: lanes.max())
    }
}
