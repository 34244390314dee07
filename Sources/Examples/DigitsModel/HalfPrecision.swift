extension Float {
    /// The nearest number that half precision (IEEE binary16) can hold; ties go to the even one.
    ///
    /// - From 65520 up: infinity, since the largest finite half is 65504.
    /// - Below 2^-14: a multiple of 2^-24, so that 2^-25 and everything smaller becomes 0.
    /// - Zero keeps its sign; infinities and NaN stay what they are.
    ///
    /// By hand, since `Float16` does not exist on every platform that Swift runs on.
    var roundedToHalf: Float {
        guard isFinite else { return self }
        let sign = bitPattern & 0x8000_0000
        let rounded: Float
        if magnitude < 0x1p-14 {
            // From 0.5 to 1, a float's last bit is worth 2^-24, as a subnormal half's is: the addition rounds.
            rounded = (magnitude + 0.5) - 0.5
        } else {
            // A float has 13 bits more than a half. Just under half of the last bit that stays, or exactly half if
            // that bit is odd, carries where the number is to be rounded up.
            let bits = magnitude.bitPattern
            let nearest = Float(bitPattern: (bits + 0xfff + (bits >> 13 & 1)) & ~0x1fff)
            rounded = nearest < 65_536 ? nearest : .infinity
        }
        return Float(bitPattern: sign | rounded.bitPattern)
    }
}
