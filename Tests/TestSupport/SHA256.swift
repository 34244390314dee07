/// The digest of FIPS 180-4, to write down the bits of a whole training run in one line.
///
/// - Parameter bytes: What to digest.
/// - Returns: 64 hexadecimal digits.
package func sha256(_ bytes: some Sequence<UInt8>) -> String {
    var message = Array(bytes)
    let bitCount = UInt64(message.count) * 8
    message.append(0x80)
    message.append(contentsOf: repeatElement(0, count: (120 - message.count % 64) % 64))
    for shift in stride(from: 56, through: 0, by: -8) { message.append(UInt8(truncatingIfNeeded: bitCount >> shift)) }

    var state = firstRootBits(of: 8, squareRoots: true)
    let constants = firstRootBits(of: 64, squareRoots: false)
    for start in stride(from: 0, to: message.count, by: 64) {
        var words = (0..<16).map { word in
            message[start + 4 * word..<start + 4 * word + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        }
        for index in 16..<64 {
            let (early, late) = (words[index - 15], words[index - 2])
            let sigma0 = rotated(early, 7) ^ rotated(early, 18) ^ early >> 3
            let sigma1 = rotated(late, 17) ^ rotated(late, 19) ^ late >> 10
            words.append(words[index - 16] &+ sigma0 &+ words[index - 7] &+ sigma1)
        }
        var v = state
        for index in 0..<64 {
            let sum1 = rotated(v[4], 6) ^ rotated(v[4], 11) ^ rotated(v[4], 25)
            let choice = v[4] & v[5] ^ ~v[4] & v[6]
            let first = v[7] &+ sum1 &+ choice &+ constants[index] &+ words[index]
            let sum0 = rotated(v[0], 2) ^ rotated(v[0], 13) ^ rotated(v[0], 22)
            let majority = v[0] & v[1] ^ v[0] & v[2] ^ v[1] & v[2]
            v = [first &+ sum0 &+ majority, v[0], v[1], v[2], v[3] &+ first, v[4], v[5], v[6]]
        }
        for index in 0..<8 { state[index] &+= v[index] }
    }
    return state.map { word in
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }.joined()
}

private func rotated(_ word: UInt32, _ count: UInt32) -> UInt32 { word >> count | word << (32 - count) }

/// The first 32 bits of the fractional parts of the square or cube roots of the first primes.
private func firstRootBits(of count: Int, squareRoots: Bool) -> [UInt32] {
    let primes = (2...311).filter { candidate in !(2..<candidate).contains { candidate.isMultiple(of: $0) } }
    return primes.prefix(count).map { prime in
        // The largest root of 36 bits whose power does not pass prime * 2^(32 * power), by bisection in integers.
        var (low, high) = (UInt64(0), UInt64(1) << 37)
        while high - low > 1 {
            let middle = (low + high) / 2
            if isPower(of: middle, squareRoots ? 2 : 3, atMost: UInt64(prime)) { low = middle } else { high = middle }
        }
        return UInt32(truncatingIfNeeded: low)
    }
}

/// Whether root^power <= prime * 2^(32 * power), without overflow.
private func isPower(of root: UInt64, _ power: Int, atMost prime: UInt64) -> Bool {
    let value = (0..<power).reduce(UInt128(1)) { product, _ in product * UInt128(root) }
    return value <= UInt128(prime) << UInt128(32 * power)
}
