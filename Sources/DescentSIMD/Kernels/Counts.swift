extension PortableKernels {
    /// The number of elements that are NaN or infinite: those whose exponent has all bits set.
    static func nonFiniteCount(_ gradient: PendingGradient) -> Int {
        let (source, factor) = (gradient.floats, gradient.factor)
        var found: Int32 = 0
        gradient.forEachShift { offset, count, shift in
            for index in offset..<offset + count
            where (factor * source[index] + shift).bitPattern & 0x7f80_0000 == 0x7f80_0000 { found += 1 }
        }
        return Int(found)
    }

    /// Sets elements that are NaN or infinite to 0.
    static func zeroNonFinite(_ elements: UnsafeMutablePointer<Float>, count: Int) {
        for index in 0..<count where elements[index].bitPattern & 0x7f80_0000 == 0x7f80_0000 { elements[index] = 0 }
    }
}
