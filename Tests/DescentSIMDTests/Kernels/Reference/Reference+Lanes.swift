import DescentCore

@testable import DescentSIMD

// Reductions in a fixed order: element i of a range goes to lane i % 16 of accumulator (i / 16) % 4. Every 4,096
// elements the accumulators are added pairwise, their lanes in halves, and the sum moves on to Double.

extension ReferenceKernels {
    /// How many floats are side by side.
    static let laneCount = 16
    /// How many elements are added in float lanes before the sum moves on to Double.
    static let chunk = 4096

    /// Loads up to 16 elements; lanes past the last one are 0.
    @inline(__always)
    static func load(_ source: UnsafePointer<Float>, _ count: Int) -> Lanes {
        if count >= 16 {
            return Lanes(
                lowHalf: SIMD8(lowHalf: quarter(source), highHalf: quarter(source + 4)),
                highHalf: SIMD8(lowHalf: quarter(source + 8), highHalf: quarter(source + 12)))
        }
        var lanes = Lanes()
        for lane in 0..<count { lanes[lane] = source[lane] }
        return lanes
    }

    /// Four elements, named one by one: optimized they are one load, and the thread sanitizer sees each, as it would not
    /// if all sixteen were loaded at once.
    @inline(__always)
    private static func quarter(_ source: UnsafePointer<Float>) -> SIMD4<Float> {
        SIMD4(source[0], source[1], source[2], source[3])
    }

    /// A number in as many lanes as there are elements, and 0 past them.
    @inline(__always)
    static func partial(_ value: Float, _ count: Int) -> Lanes {
        var lanes = Lanes(repeating: value)
        if count < 16 { for lane in count..<16 { lanes[lane] = 0 } }
        return lanes
    }

    @inline(__always)
    static func magnitudeBits(_ lanes: Lanes) -> SIMD16<UInt32> {
        unsafeBitCast(lanes, to: SIMD16<UInt32>.self) & SIMD16(repeating: 0x7fff_ffff)
    }

    @inline(__always)
    static func magnitude(_ lanes: Lanes) -> Lanes {
        unsafeBitCast(magnitudeBits(lanes), to: Lanes.self)
    }

    /// Adds lanes in halves.
    @inline(__always)
    static func sum(_ lanes: Lanes) -> Float {
        let eight = lanes.lowHalf + lanes.highHalf
        let four = eight.lowHalf + eight.highHalf
        let two = four.lowHalf + four.highHalf
        return two.x + two.y
    }

    /// Adds up what an operation makes of each element minus the mean.
    @inline(__always)
    static func reduce(
        _ source: UnsafePointer<Float>, count: Int, mean: Float, _ add: (Lanes, Lanes) -> Lanes
    ) -> Double {
        var total = 0.0
        var start = 0
        let means = Lanes(repeating: mean)
        while start < count {
            let end = min(start + chunk, count)
            var a = Lanes()
            var b = Lanes()
            var c = Lanes()
            var d = Lanes()
            var index = start
            while index + 64 <= end {
                a = add(a, load(source + index, 16) - means)
                b = add(b, load(source + index + 16, 16) - means)
                c = add(c, load(source + index + 32, 16) - means)
                d = add(d, load(source + index + 48, 16) - means)
                index += 64
            }
            if index < end { a = add(a, load(source + index, end - index) - partial(mean, end - index)) }
            if index + 16 < end {
                b = add(b, load(source + index + 16, end - index - 16) - partial(mean, end - index - 16))
            }
            if index + 32 < end {
                c = add(c, load(source + index + 32, end - index - 32) - partial(mean, end - index - 32))
            }
            if index + 48 < end {
                d = add(d, load(source + index + 48, end - index - 48) - partial(mean, end - index - 48))
            }
            total += Double(sum((a + b) + (c + d)))
            start = end
        }
        return total
    }

    /// Adds up elements and squares in one pass.
    static func sumAndSquares(_ source: UnsafePointer<Float>, count: Int) -> (sum: Double, squares: Double) {
        var total = (sum: 0.0, squares: 0.0)
        var start = 0
        while start < count {
            let end = min(start + chunk, count)
            var sums = (Lanes(), Lanes(), Lanes(), Lanes())
            var squares = (Lanes(), Lanes(), Lanes(), Lanes())
            var index = start
            while index < end {
                let left = end - index
                let a = load(source + index, left)
                sums.0 += a
                squares.0 += a * a
                if left > 16 {
                    let b = load(source + index + 16, left - 16)
                    sums.1 += b
                    squares.1 += b * b
                }
                if left > 32 {
                    let c = load(source + index + 32, left - 32)
                    sums.2 += c
                    squares.2 += c * c
                }
                if left > 48 {
                    let d = load(source + index + 48, left - 48)
                    sums.3 += d
                    squares.3 += d * d
                }
                index += 64
            }
            total.sum += Double(sum((sums.0 + sums.1) + (sums.2 + sums.3)))
            total.squares += Double(sum((squares.0 + squares.1) + (squares.2 + squares.3)))
            start = end
        }
        return total
    }

    static func sumOfSquares(_ source: UnsafePointer<Float>, count: Int, minus mean: Float) -> Double {
        reduce(source, count: count, mean: mean) { $0 + $1 * $1 }
    }

    static func sumOfMagnitudes(_ source: UnsafePointer<Float>, count: Int, minus mean: Float) -> Double {
        reduce(source, count: count, mean: mean) { $0 + magnitude($1) }
    }

    /// The largest magnitude, or NaN if there is one.
    static func largestMagnitude(_ source: UnsafePointer<Float>, count: Int, minus mean: Float) -> Float {
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

    /// Adds up squares of elements without their row's mean, from a row up to the first that one pass cannot measure.
    static func centeredSquares(
        _ source: UnsafePointer<Float>, from first: Int, rows: Int, columns: Int, means: UnsafeMutablePointer<Float>,
        total: inout Double
    ) -> Int {
        for row in first..<rows {
            let sums = sumAndSquares(source + row * columns, count: columns)
            let mean = sums.sum / Double(columns)
            means[row] = Float(mean)
            let centered = sums.squares - sums.sum * mean
            let isPlain =
                centered.isFinite && centered >= 0x1p-4 * sums.squares
                && sums.squares >= Kernels.smallestMeanSquare * Double(columns)
            guard isPlain else { return row }
            total += centered
        }
        return rows
    }

    /// Writes the mean of each row; says whether all of them are finite.
    static func fillRowMeans(
        _ source: UnsafePointer<Float>, rows: Int, columns: Int, into means: UnsafeMutablePointer<Float>
    ) -> Bool {
        var isFinite = true
        for row in 0..<rows {
            let mean = sumAndSquares(source + row * columns, count: columns).sum / Double(columns)
            means[row] = Float(mean)
            isFinite = isFinite && mean.isFinite
        }
        return isFinite
    }
}
