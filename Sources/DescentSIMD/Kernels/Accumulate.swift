extension PortableKernels {
    /// Adds a gradient times a factor to an accumulator, or overwrites it.
    static func accumulate(
        _ gradient: PendingGradient, into accumulator: UnsafeMutablePointer<Float>, factor: Float, overwriting: Bool
    ) {
        let (source, pending) = (gradient.floats, gradient.factor)
        gradient.forEachStretch { offset, count, shift in
            if overwriting {
                for index in offset..<offset + count {
                    accumulator[index] = factor * (pending * source[index] + shift)
                }
            } else {
                for index in offset..<offset + count {
                    accumulator[index] += factor * (pending * source[index] + shift)
                }
            }
        }
    }
}
