/// The 64-bit checksum XXH64 of Yann Collet's xxHash, with seed 0.
///
/// It finds damage, not forgery. Bytes may come in chunks of any size; the digest is that of all together.
/// Source: the specification in xxHash's repository, `doc/xxhash_spec.md`.
struct XXHash64 {
    private static let primes: (UInt64, UInt64, UInt64, UInt64, UInt64) = (
        0x9e37_79b1_85eb_ca87, 0xc2b2_ae3d_27d4_eb4f, 0x1656_67b1_9e37_79f9, 0x85eb_ca77_c2b2_ae63,
        0x27d4_eb2f_1656_67c5
    )
    private static let stripe = 32

    private var lanes = SIMD4<UInt64>(primes.0 &+ primes.1, primes.1, 0, 0 &- primes.0)
    private var byteCount: UInt64 = 0
    /// What is left over from chunks so far: less than a stripe, which is what xxHash calls 32 bytes.
    private var rest: [UInt8] = []

    /// The checksum of bytes.
    static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hash = XXHash64()
        let whole = bytes.count / stripe * stripe
        hash.consumeStripes(UnsafeRawBufferPointer(rebasing: bytes[..<whole]))
        hash.byteCount = UInt64(bytes.count)
        return hash.value(with: UnsafeRawBufferPointer(rebasing: bytes[whole...]))
    }

    /// Takes in more bytes.
    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        byteCount &+= UInt64(bytes.count)
        var bytes = bytes[...]
        if !rest.isEmpty {
            let missing = bytes.prefix(Self.stripe - rest.count)
            rest += missing
            bytes = bytes.dropFirst(missing.count)
            guard rest.count == Self.stripe else { return }
            rest.withUnsafeBytes { consumeStripes($0) }
            rest.removeAll(keepingCapacity: true)
        }
        let whole = bytes.prefix(bytes.count / Self.stripe * Self.stripe)
        consumeStripes(UnsafeRawBufferPointer(rebasing: whole))
        rest += bytes.dropFirst(whole.count)
    }

    /// The checksum of all bytes so far.
    var value: UInt64 { rest.withUnsafeBytes { value(with: $0) } }

    private func value(with rest: UnsafeRawBufferPointer) -> UInt64 {
        let (prime1, prime2, prime3, prime4, prime5) = Self.primes
        var hash = prime5
        if byteCount >= UInt64(Self.stripe) {
            hash =
                lanes[0].rotatedLeft(1) &+ lanes[1].rotatedLeft(7) &+ lanes[2].rotatedLeft(12)
                &+ lanes[3].rotatedLeft(18)
            for lane in 0..<4 { hash = (hash ^ Self.round(0, lanes[lane])) &* prime1 &+ prime4 }
        }
        hash &+= byteCount
        var offset = 0
        while offset + 8 <= rest.count {
            hash = (hash ^ Self.round(0, rest.word(at: offset))).rotatedLeft(27) &* prime1 &+ prime4
            offset += 8
        }
        if offset + 4 <= rest.count {
            let half = UInt64(UInt32(littleEndian: rest.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
            hash = (hash ^ (half &* prime1)).rotatedLeft(23) &* prime2 &+ prime3
            offset += 4
        }
        for byte in rest[offset...] { hash = (hash ^ (UInt64(byte) &* prime5)).rotatedLeft(11) &* prime1 }
        hash = (hash ^ (hash >> 33)) &* prime2
        hash = (hash ^ (hash >> 29)) &* prime3
        return hash ^ (hash >> 32)
    }

    private mutating func consumeStripes(_ bytes: UnsafeRawBufferPointer) {
        // Four variables, so that they stay in registers.
        var (first, second, third, fourth) = (lanes[0], lanes[1], lanes[2], lanes[3])
        for offset in stride(from: 0, to: bytes.count, by: Self.stripe) {
            first = Self.round(first, bytes.word(at: offset))
            second = Self.round(second, bytes.word(at: offset + 8))
            third = Self.round(third, bytes.word(at: offset + 16))
            fourth = Self.round(fourth, bytes.word(at: offset + 24))
        }
        lanes = SIMD4(first, second, third, fourth)
    }

    private static func round(_ lane: UInt64, _ word: UInt64) -> UInt64 {
        (lane &+ word &* primes.1).rotatedLeft(31) &* primes.0
    }
}

extension UInt64 {
    fileprivate func rotatedLeft(_ count: UInt64) -> UInt64 { self << count | self >> (64 - count) }
}

extension UnsafeRawBufferPointer {
    fileprivate func word(at offset: Int) -> UInt64 {
        UInt64(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
}
