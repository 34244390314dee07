extension PortableKernels {
    /// Sums of units that lie side by side, one in each lane, over segments a stride apart.
    ///
    /// Every 256 segments the float sums move on to Double.
    @inline(__always)
    private static func sumSegments(
        _ source: UnsafePointer<Float>, segments: Int, stride: Int, count: Int, _ value: (Lanes) -> Lanes
    ) -> SIMD16<Double> {
        var total = SIMD16<Double>()
        var segment = 0
        while segment < segments {
            let end = min(segment + 256, segments)
            var lanes = Lanes()
            while segment < end {
                lanes += value(load(source + segment * stride, count))
                segment += 1
            }
            total += SIMD16<Double>(lanes)
        }
        return total
    }

    /// The mean of each unit, for units that are the last dimension.
    static func unitMeans(
        _ source: UnsafePointer<Float>, segments: Int, stride: Int, units: Int, into means: UnsafeMutablePointer<Float>
    ) {
        for first in Swift.stride(from: 0, to: units, by: laneCount) {
            let count = min(laneCount, units - first)
            let sums = sumSegments(source + first, segments: segments, stride: stride, count: count) { $0 }
            for unit in 0..<count {
                var sum = sums[unit]
                if !sum.isFinite {
                    sum = (0..<segments).reduce(0) { $0 + Double(source[$1 * stride + first + unit]) }
                }
                means[first + unit] = Float(sum / Double(segments))
            }
        }
    }

    /// The L2 norm of one unit, element by element in Double.
    private static func unitNorm(_ source: UnsafePointer<Float>, segments: Int, stride: Int) -> Double {
        (0..<segments).reduce(0) { $0 + Double(source[$1 * stride]) * Double(source[$1 * stride]) }.squareRoot()
    }

    /// Clips each unit by the norm of the parameter's unit, for units that are the last dimension.
    static func clipUnits(
        _ gradient: UnsafeMutablePointer<Float>, stride: Int, by parameters: UnsafePointer<Float>,
        parameterStride: Int, segments: Int, units: Int, factor: Float, minimumNorm: Float, epsilon: Float
    ) {
        for first in Swift.stride(from: 0, to: units, by: laneCount) {
            let count = min(laneCount, units - first)
            let ofGradient = sumSegments(gradient + first, segments: segments, stride: stride, count: count) { $0 * $0 }
            let ofParameter = sumSegments(parameters + first, segments: segments, stride: parameterStride, count: count)
            {
                $0 * $0
            }
            var scales = Lanes(repeating: 1)
            for unit in 0..<count {
                var norm = ofGradient[unit].squareRoot()
                // Squares that left the range of float, or came near its end, are made again in Double.
                if !norm.isFinite || norm < 0x1p-50 {
                    norm = unitNorm(gradient + first + unit, segments: segments, stride: stride)
                }
                var size = ofParameter[unit].squareRoot()
                if !size.isFinite {
                    size = unitNorm(parameters + first + unit, segments: segments, stride: parameterStride)
                }
                let limit = Double(factor) * max(size, Double(minimumNorm))
                if norm >= limit { scales[unit] = Float(limit / max(norm, Double(epsilon))) }
            }
            for segment in 0..<segments {
                for unit in 0..<count { gradient[segment * stride + first + unit] *= scales[unit] }
            }
        }
    }

    /// Subtracts from each unit its mean times a factor, for units that are the last dimension.
    static func subtractUnitMeans(
        _ elements: UnsafeMutablePointer<Float>, segments: Int, units: Int, factor: Float, means: UnsafePointer<Float>
    ) {
        for segment in 0..<segments {
            let start = segment * units
            for unit in 0..<units { elements[start + unit] -= factor * means[unit] }
        }
    }
}
