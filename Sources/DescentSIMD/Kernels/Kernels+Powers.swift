import CDescentKernels
import DescentCore

extension Kernels {
    /// The powers whose sums are made in float lanes; of others, in Double.
    static let powersInLanes = 0.5...96.0

    /// The norm of any power of a block, of its elements or of what is left of them without the means of rows.
    ///
    /// Each range of 4,096 elements is read twice, while it is in cache: for its largest magnitude, by which it is scaled,
    /// and for the sum of powers. The relative error is below 1e-6.
    ///
    /// - Parameters:
    ///   - p: The power, one of ``powersInLanes``.
    ///   - source: The elements, row by row.
    ///   - rows: The number of rows.
    ///   - columns: The number of elements of a row.
    ///   - means: What is subtracted from the elements of each row; nil for nothing.
    /// - Returns: The norm; infinity or NaN where an element is.
    /// - Complexity: O(n) for n elements.
    func powerNorm(
        _ p: Double, _ source: UnsafePointer<Float>, rows: Int, columns: Int, means: UnsafePointer<Float>?
    ) -> Double {
        let (ranges, length) = means == nil ? (1, rows * columns) : (rows, columns)
        var sum = PowerSum(p)
        var power = descent_power(p)
        var isInfinite = false
        for range in 0..<ranges {
            let mean = means?[range] ?? 0
            for start in stride(from: 0, to: length, by: 4_096) {
                let (elements, count) = (source + range * length + start, min(4_096, length - start))
                let largest = largestMagnitude(elements, count: count, minus: mean)
                if largest.isNaN { return .nan }
                if largest == .infinity {
                    isInfinite = true
                } else if largest >= 0x1p-112, largest < 0x1p126 {
                    let exponent = sum.exponent(below: Int(largest.exponent))
                    power.scale = Float(sign: .plus, exponent: -exponent, significand: 1)
                    sum.add(table.pointee.sum_of_powers(elements, count, mean, &power), exponent: exponent)
                } else if largest > 0 {
                    // There is no scale that is a normal number.
                    sum.add(norm: Self.plain(.lp(p), elements, count: count, minus: mean))
                }
            }
        }
        return isInfinite ? .infinity : sum.norm
    }
}

extension descent_power {
    /// A power from 1/2 to 96, of elements whose largest is at least 1.
    init(_ p: Double) {
        let high = Float(bitPattern: Float(p).bitPattern & 0xffff_ff00)
        let isWhole = p == p.rounded() && p >= 1 && p <= 64
        // Less than 2^-120 of the largest power: 4,096 of them do not count.
        let smallest = Float(ReproducibleMath.exponentialBase2(-120 / p))
        self.init(
            exponent: isWhole ? Int32(p) : 0, high: high, low: Float(p - Double(high)), scale: 1,
            smallest: max(smallest, Float.leastNormalMagnitude))
    }
}
