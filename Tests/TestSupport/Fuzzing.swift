import Foundation
package import SeededNumbers
import Testing

/// Runs many random cases, each made from its seed, in a process of its own.
///
/// `DESCENT_FUZZ_CASES` says how many there are, unless another variable is named. A case that fails says its seed; so
/// does one that ends the process, because the seed is in a file before the case begins. `DESCENT_FUZZ_FIRST_CASE` has
/// them begin with that seed.
package enum Fuzzing {
    /// Runs the cases; call it in the process that `processExitsWith:` starts.
    package static func run(
        _ name: String, count: Int, casesIn casesVariable: String = "DESCENT_FUZZ_CASES",
        firstIn firstVariable: String = "DESCENT_FUZZ_FIRST_CASE", _ body: (UInt64, inout Draw) throws -> Void
    ) throws {
        let environment = ProcessInfo.processInfo.environment
        let first = environment[firstVariable].flatMap(UInt64.init) ?? 0
        let count = environment[casesVariable].flatMap(UInt64.init) ?? UInt64(count)
        let file = open(seedFile(name, of: getppid()), O_WRONLY | O_CREAT, 0o600)
        defer { close(file) }
        for seed in first..<(first + count) {
            withUnsafeBytes(of: seed) { _ = pwrite(file, $0.baseAddress, $0.count, 0) }
            var draw = Draw(generator: SeededGenerator(seed: seed))
            do {
                try body(seed, &draw)
            } catch {
                Issue.record("\(name), seed \(seed): \(error)")
                throw error
            }
        }
        unlink(seedFile(name, of: getppid()))
    }

    /// Records the seed of the case that ended the process, if one did; call it after the process has ended.
    package static func reportUnfinishedCase(_ name: String, firstIn firstVariable: String = "DESCENT_FUZZ_FIRST_CASE")
    {
        let path = seedFile(name, of: getpid())
        guard let bytes = FileManager.default.contents(atPath: path), bytes.count == 8 else { return }
        unlink(path)
        let seed = bytes.enumerated().reduce(UInt64(0)) { $0 | UInt64($1.element) << (8 * $1.offset) }
        Issue.record("\(name) ended with seed \(seed); \(firstVariable)=\(seed) begins with it.")
    }

    private static func seedFile(_ name: String, of process: pid_t) -> String {
        NSTemporaryDirectory() + "descent-fuzzing-\(process)-\(name)"
    }

    /// What did not hold.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String

        package init(description: String) { self.description = description }
    }

    /// Random choices.
    package struct Draw: RandomChoices {
        package var generator: SeededGenerator
    }
}

// MARK: Damage

extension Fuzzing.Draw {
    /// Numbers at which arithmetic goes wrong.
    private static let numbers = [
        "0", "-0", "1", "-1", "7", "1.0", "1e3", "1e999", "-1e-999", "2147483648", "4294967295", "4294967296",
        "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616",
        "99999999999999999999999999999999999999",
    ]
    private static let pieces = [
        "\"", "\\", "{", "}", "[", "]", ",", ":", "null", "true", "\"a\":", "\\u0000", "\\ud800", "\\udc00", "\u{feff}",
        " ", "\n", "0", "-", "e", ".", "\"dtype\":\"F16\"", "\"shape\":[0]", "\"data_offsets\":[0,0]",
        "\"__metadata__\":{}", "[[[[[[[[[[[[[[[[",
    ].map { Array($0.utf8) }

    /// Damages bytes in one to four ways: bits and bytes changed, parts removed, repeated, moved, put in, numbers edited.
    package mutating func damage(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<number(1...4) where !bytes.isEmpty {
            switch number(0...7) {
            case 0: bytes[number(0...bytes.count - 1)] ^= 1 << number(0...7)
            case 1: bytes[number(0...bytes.count - 1)] = byte()
            case 2: bytes.removeSubrange(range(in: bytes))
            case 3: bytes.removeLast(number(1...bytes.count))
            case 4: bytes.insert(contentsOf: bytes[range(in: bytes)], at: number(0...bytes.count))
            case 5: bytes.insert(contentsOf: element(Self.pieces), at: number(0...bytes.count))
            case 6: bytes.replaceSubrange(range(in: bytes), with: (0..<number(0...9)).map { _ in byte() })
            default: editNumber(&bytes)
            }
        }
        return bytes
    }

    /// A few bytes, or now and then many.
    private mutating func range(in bytes: [UInt8]) -> Range<Int> {
        let start = number(0...bytes.count - 1)
        let count = isLucky(oneIn: 4) ? bytes.count : 12
        return start..<number(start...min(bytes.count, start + count))
    }

    private mutating func editNumber(_ bytes: inout [UInt8]) {
        func isDigit(_ byte: UInt8) -> Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte }
        let starts = bytes.indices.filter { isDigit(bytes[$0]) && ($0 == 0 || !isDigit(bytes[$0 - 1])) }
        guard !starts.isEmpty else { return }
        let start = element(starts)
        let end = bytes[start...].firstIndex { !isDigit($0) } ?? bytes.count
        bytes.replaceSubrange(start..<end, with: Array(element(Self.numbers).utf8))
    }
}
