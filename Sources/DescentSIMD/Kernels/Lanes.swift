/// Sixteen floats side by side.
typealias Lanes = SIMD16<Float>

extension PortableKernels {
    /// How many floats are side by side.
    static let laneCount = 16

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
}
