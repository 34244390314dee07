extension PortableKernels {
    /// Sums of units that lie side by side, one in each lane, over lines a stride apart.
    ///
    /// Every 256 lines the float sums move on to Double.
    @inline(__always)
    private static func sumLines(
        _ source: UnsafePointer<Float>, lines: Int, stride: Int, count: Int, _ value: (Lanes) -> Lanes
    ) -> SIMD16<Double> {
        var total = SIMD16<Double>()
        var line = 0
        while line < lines {
            let end = min(line + 256, lines)
            var lanes = Lanes()
            while line < end {
                lanes += value(load(source + line * stride, count))
                line += 1
            }
            total += SIMD16<Double>(lanes)
        }
        return total
    }

    /// The mean of each unit, for units that are the last dimension.
    static func unitMeans(
        _ source: UnsafePointer<Float>, lines: Int, stride: Int, units: Int, into means: UnsafeMutablePointer<Float>
    ) {
        for first in Swift.stride(from: 0, to: units, by: laneCount) {
            let count = min(laneCount, units - first)
            let sums = sumLines(source + first, lines: lines, stride: stride, count: count) { $0 }
            for unit in 0..<count {
                var sum = sums[unit]
                if !sum.isFinite {
                    sum = (0..<lines).reduce(0) { $0 + Double(source[$1 * stride + first + unit]) }
                }
                means[first + unit] = Float(sum / Double(lines))
            }
        }
    }

    /// The L2 norm of one unit, element by element in Double.
    private static func unitNorm(_ source: UnsafePointer<Float>, lines: Int, stride: Int) -> Double {
        (0..<lines).reduce(0) { $0 + Double(source[$1 * stride]) * Double(source[$1 * stride]) }.squareRoot()
    }

    /// Clips each unit by the norm of the parameter's unit, for units that are the last dimension.
    static func clipUnits(
        _ gradient: UnsafeMutablePointer<Float>, stride: Int, by parameters: UnsafePointer<Float>,
        parameterStride: Int, lines: Int, units: Int, factor: Float, minimumNorm: Float, epsilon: Float
    ) {
        for first in Swift.stride(from: 0, to: units, by: laneCount) {
            let count = min(laneCount, units - first)
            let ofGradient = sumLines(gradient + first, lines: lines, stride: stride, count: count) { $0 * $0 }
            let ofParameter = sumLines(parameters + first, lines: lines, stride: parameterStride, count: count) {
                $0 * $0
            }
            var scales = Lanes(repeating: 1)
            for unit in 0..<count {
                var norm = ofGradient[unit].squareRoot()
                // Squares that left the range of float, or came near its end, are made again in Double.
                if !norm.isFinite || norm < 0x1p-50 {
                    norm = unitNorm(gradient + first + unit, lines: lines, stride: stride)
                }
                var size = ofParameter[unit].squareRoot()
                if !size.isFinite { size = unitNorm(parameters + first + unit, lines: lines, stride: parameterStride) }
                let limit = Double(factor) * max(size, Double(minimumNorm))
                if norm >= limit { scales[unit] = Float(limit / max(norm, Double(epsilon))) }
            }
            for line in 0..<lines {
                for unit in 0..<count { gradient[line * stride + first + unit] *= scales[unit] }
            }
        }
    }

    /// Subtracts from each unit its mean times a factor, for units that are the last dimension.
    static func subtractUnitMeans(
        _ elements: UnsafeMutablePointer<Float>, lines: Int, units: Int, factor: Float, means: UnsafePointer<Float>
    ) {
        for line in 0..<lines {
            let start = line * units
            for unit in 0..<units { elements[start + unit] -= factor * means[unit] }
        }
    }
}
