import TestSupport

/// Floats of all kinds, from a seed, in memory that starts at an odd place.
struct KernelFloats {
    private let storage: UnsafeMutableBufferPointer<Float>
    var start: UnsafeMutablePointer<Float>

    init(_ count: Int, seed: UInt64, misaligned offset: Int = 1, special: Bool = false) {
        storage = .allocate(capacity: count + offset + 16)
        var generator = SeededGenerator(seed: seed)
        for index in storage.indices {
            storage[index] =
                generator.normal()
                * Float(sign: .plus, exponent: Int.random(in: -8...8, using: &generator), significand: 1)
            guard special, Int.random(in: 0..<9, using: &generator) == 0 else { continue }
            let specials: [Float] = [
                0, -0.0, .infinity, -.infinity, .nan, .leastNonzeroMagnitude, -.leastNormalMagnitude,
                .greatestFiniteMagnitude, Float(bitPattern: 0x0001_2345), 1e-30, -1e30,
            ]
            storage[index] = specials[Int.random(in: specials.indices, using: &generator)]
        }
        start = storage.baseAddress.map { $0 + offset } ?? UnsafeMutablePointer.allocate(capacity: 1)
    }

    func bits(_ count: Int) -> [UInt32] { (0..<count).map { start[$0].isNaN ? 0x7fc0_0000 : start[$0].bitPattern } }
    func deallocate() { storage.deallocate() }
}
