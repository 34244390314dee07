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
}
