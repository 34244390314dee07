import Descent
import DescentJSON
import TestSupport
import Testing

/// Random text, and valid text that was damaged: parsed or refused, but never a trap.
@Suite struct JSONFuzzTests {
    @Test func `no text makes the parser trap, and what it accepts it prints and parses again`() async {
        await #expect(processExitsWith: .success) {
            try Fuzzing.run("JSON", count: 4_000) { seed, draw in
                let text =
                    draw.isLucky(oneIn: 10) ? draw.noise() : draw.damage(Array(draw.json(depth: 4).description.utf8))
                try Self.check(text)
            }
        }
        Fuzzing.reportUnfinishedCase("JSON")
    }

    @Test func `no document makes decoding trap, and what is decoded is encoded again`() async {
        await #expect(processExitsWith: .success) {
            try Fuzzing.run("decoding", count: 4_000) { seed, draw in
                let bytes = Array(try JSON(encoding: Document.random(&draw)).description.utf8)
                guard let json = try? JSON(parsing: draw.isLucky(oneIn: 10) ? bytes : draw.damage(bytes)) else {
                    return
                }
                guard let document = try? json.decode(Document.self, refusingUnknownKeys: draw.isLucky(oneIn: 2)) else {
                    return
                }
                let again = try JSON(encoding: document)
                guard try JSON(encoding: again.decode(Document.self)) == again else {
                    throw Fuzzing.Failure(description: "\(json) becomes \(again) and then something else")
                }
            }
        }
        Fuzzing.reportUnfinishedCase("decoding")
    }

    private static func check(_ text: [UInt8]) throws {
        let json: JSON
        do {
            json = try JSON(parsing: text)
        } catch {
            guard error.code == .invalidJSON, error.message.hasPrefix("line ") else { throw error }
            return
        }
        for printed in [json.description, json.formatted(), json.formatted(columns: 0)] {
            guard try JSON(parsing: printed) == json else {
                throw Fuzzing.Failure(description: "\(json) is not printed as \(printed)")
            }
        }
    }

    private struct Document: Codable {
        enum Choice: Codable {
            case one(Int8)
            case other(name: String, values: [Double])
        }

        var count: UInt64
        var rate: Float?
        var names: [String: Choice]
        var rest: JSON
        var nested: [[Bool?]]

        static func random(_ draw: inout Fuzzing.Draw) -> Document {
            Document(
                count: draw.generator.next(), rate: draw.isLucky(oneIn: 3) ? nil : .infinity,
                names: [
                    "a": .one(Int8(draw.number(-128...127))),
                    "b.c": .other(name: "\u{0}é", values: [.nan, Double(draw.number(0...9))]),
                ],
                rest: draw.json(depth: 2), nested: [[true, nil], []])
        }
    }
}

extension Fuzzing.Draw {
    fileprivate mutating func noise() -> [UInt8] { (0..<number(0...60)).map { _ in byte() } }

    /// A random value.
    fileprivate mutating func json(depth: Int) -> JSON {
        switch number(0...(depth > 0 ? 7 : 4)) {
        case 0: return .null
        case 1: return .bool(isLucky(oneIn: 2))
        case 2: return .number(JSON.Number(Int64(bitPattern: generator.next())))
        case 3: return JSON.Number(Double(bitPattern: generator.next())).map { .number($0) } ?? .null
        case 4: return .string(element(["", "a", "é😀\"\\\n\u{1}", "descent"]))
        case 5: return .array((0..<number(0...4)).map { _ in json(depth: depth - 1) })
        default:
            var object = JSON.Object()
            for _ in 0..<number(0...4) { object[element(["a", "b", "stage", "\"", "é"])] = json(depth: depth - 1) }
            return .object(object)
        }
    }
}
