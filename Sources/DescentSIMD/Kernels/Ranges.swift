extension PortableKernels {
    /// Moves elements into a range; NaN stays.
    static func clamp(_ elements: UnsafeMutablePointer<Float>, count: Int, to range: ClosedRange<Float>) {
        let (lower, upper) = (range.lowerBound, range.upperBound)
        for index in 0..<count {
            let element = elements[index]
            let raised = element < lower ? lower : element
            elements[index] = raised > upper ? upper : raised
        }
    }

    /// Whether the magnitudes of all elements are smaller than a limit; a NaN is not.
    static func areSmaller(_ source: UnsafePointer<Float>, than limit: Float, count: Int) -> Bool {
        // As numbers, patterns of magnitudes are in the same order, those of NaN behind infinity.
        var largest: UInt32 = 0
        for index in 0..<count { largest = max(largest, source[index].bitPattern & 0x7fff_ffff) }
        return largest < limit.bitPattern
    }
}
