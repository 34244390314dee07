/// SplitMix64: random numbers from a seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// Numbers of their own for every name and number.
    init(_ name: String, _ number: Int) {
        // FNV-1a, because the standard library's hashes differ from run to run.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        state = hash &+ UInt64(truncatingIfNeeded: number) &* 0xd134_2543_de82_ef95
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// About a normal distribution: the sum of four uniform numbers less two, with a deviation of 1.
    mutating func normal() -> Float {
        var sum: Float = -2
        for _ in 0..<4 { sum += Float.random(in: 0..<1, using: &self) }
        return sum * 1.7320508
    }
}
