import SeededNumbers

extension SeededGenerator {
    /// Numbers of their own for every name and number.
    init(_ name: String, _ number: Int) {
        // FNV-1a, because the standard library's hashes differ from run to run.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        self.init(seed: hash &+ UInt64(truncatingIfNeeded: number) &* 0xd134_2543_de82_ef95)
    }

    /// About a normal distribution, quickly: the sum of four uniform numbers less two, with a deviation of 1.
    mutating func roughlyNormal() -> Float {
        var sum: Float = -2
        for _ in 0..<4 { sum += Float.random(in: 0..<1, using: &self) }
        return sum * 1.7320508
    }
}
