import Descent
import DescentJSON
import TestSupport
import Testing

@Suite struct JSONCodingTests {
    private struct Clip: Codable, Equatable {
        var maximumNorm: Float
        var epsilon: Float?
        var excluding: [String]?
    }

    private enum Scale: Codable, Equatable {
        case fixed(Float)
        case dynamic(initial: Float, growthInterval: Int)
        case none
    }

    private struct Document: Codable, Equatable {
        var stages: [Clip]
        var limits: [String: Float]
        var scale: Scale?
    }

    private struct Picky: Codable {
        let value: Int

        init(from decoder: any Decoder) throws {
            value = try decoder.singleValueContainer().decode(Int.self)
            guard value > 0 else {
                throw DescentError(.invalidSetting, parameter: "w", stage: "Picky", "Picky: \(value) is not above 0.")
            }
        }
    }

    private func roundTrip<Value: Codable>(_ value: Value) throws -> Value {
        try JSON(parsing: JSON(encoding: value).description).decode()
    }

    private func message(_ text: String, refusingUnknownKeys: Bool = false, at place: String = "") -> String {
        do {
            _ = try JSON(parsing: text).decode(Document.self, refusingUnknownKeys: refusingUnknownKeys, at: place)
        } catch { return "\(error)" }
        return "no error"
    }

    /// A value that is written as its place in a list that the caller hands over.
    private struct Listed: Codable {
        let name: String

        private static func list(_ userInfo: [CodingUserInfoKey: Any]) throws -> [String] {
            try #require(CodingUserInfoKey(rawValue: "names").flatMap { userInfo[$0] as? [String] })
        }

        init(name: String) { self.name = name }

        init(from decoder: any Decoder) throws {
            name = try Self.list(decoder.userInfo)[decoder.singleValueContainer().decode(Int.self)]
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            try container.encode(Self.list(encoder.userInfo).firstIndex(of: name))
        }
    }

    @Test func `at any depth, types find what they are handed to look up`() throws {
        let key = try #require(CodingUserInfoKey(rawValue: "names"))
        let userInfo: [CodingUserInfoKey: any Sendable] = [key: ["a", "b"]]
        let json = try JSON(encoding: ["x": [Listed(name: "b"), Listed(name: "a")]], userInfo: userInfo)
        #expect(json == ["x": [1, 0]])
        let decoded: [String: [Listed]] = try json.decode(userInfo: userInfo)
        #expect(decoded["x"]?.map(\.name) == ["b", "a"])
    }

    // MARK: Bits

    @Test func `every kind of float comes back bit for bit`() throws {
        var floats: [Float] = [
            0, -0.0, .leastNonzeroMagnitude, -.leastNonzeroMagnitude, .leastNormalMagnitude, .greatestFiniteMagnitude,
            .infinity, -.infinity, 0.1, 1 / 3, 16_777_216, Float(bitPattern: 0x007f_fffe),
        ]
        var doubles: [Double] = [
            0, -0.0, .leastNonzeroMagnitude, .leastNormalMagnitude, .greatestFiniteMagnitude, .infinity, -.infinity,
            0.1, 1 / 3, Double(bitPattern: 0x000f_ffff_ffff_fffe), 0x1.0000000000001p+53,
        ]
        var generator = SeededGenerator(seed: 11)
        for _ in 0..<500 {
            let float = Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &generator))
            if !float.isNaN { floats.append(float) }
            let double = Double(bitPattern: UInt64.random(in: 0...UInt64.max, using: &generator))
            if !double.isNaN { doubles.append(double) }
        }
        #expect(try roundTrip(floats).map(\.bitPattern) == floats.map(\.bitPattern))
        #expect(try roundTrip(doubles).map(\.bitPattern) == doubles.map(\.bitPattern))
        #expect(try roundTrip(Float.nan).isNaN)
        #expect(try roundTrip(Double.nan).isNaN)
    }

    @Test func `the largest and smallest integers come back`() throws {
        #expect(try roundTrip([UInt64.max, .min, 1 << 53 + 1]) == [UInt64.max, .min, 1 << 53 + 1])
        #expect(try roundTrip([Int64.max, .min]) == [Int64.max, .min])
        #expect(try roundTrip([Int8.max, .min]) == [Int8.max, .min])
    }

    // MARK: Types

    @Test func `structs, enums, optionals and dictionaries come back`() throws {
        let document = Document(
            stages: [
                Clip(maximumNorm: 1, epsilon: 1e-6), Clip(maximumNorm: .infinity, excluding: ["fc.\"bias\"", ""]),
            ],
            limits: ["fc1.weight": 0.5, "é": .nan], scale: .dynamic(initial: 65_536, growthInterval: 2_000))
        let found = try roundTrip(document)
        #expect(found.stages == document.stages)
        #expect(found.scale == document.scale)
        #expect(found.limits["é"]?.isNaN == true)
        #expect(try roundTrip([1: "a", 2: "b"]) == [1: "a", 2: "b"])
        #expect(try roundTrip(Set(["b", "a"])) == ["a", "b"])
        #expect(try roundTrip([Int?](arrayLiteral: 1, nil)) == [1, nil])
        #expect(try roundTrip(ElementType.bfloat16) == .bfloat16)
        #expect(try roundTrip(Scale.none) == .none)
        #expect(try roundTrip(0..<7) == 0..<7)
    }

    @Test func `equal values give equal text, however a dictionary happens to order its keys`() throws {
        let keys = (0..<100).map { "key\($0)" }
        let first = Dictionary(uniqueKeysWithValues: keys.map { ($0, 1) })
        var second: [String: Int] = Dictionary(minimumCapacity: 5_000)
        for key in keys.reversed() { second[key] = 1 }
        #expect(try JSON(encoding: first).description == JSON(encoding: second).description)
        #expect(try JSON(encoding: first).object?.keys == keys.sorted())
        #expect(try JSON(encoding: Set(keys)) == .array(keys.sorted().map { .string($0) }))
    }

    @Test func `a part can be kept as JSON`() throws {
        struct Stage: Codable {
            var name: String
            var settings: JSON
        }
        let text = #"{"name":"Own","settings":{"rate":1.50,"names":["a"]}}"#
        let stage: Stage = try JSON(parsing: text).decode(refusingUnknownKeys: true)
        #expect(stage.settings["rate"] == .number(try #require(JSON.Number(literal: "1.50"))))
        #expect(try JSON(encoding: stage).description == text)
    }

    // MARK: Errors

    @Test(arguments: [
        (
            #"{"stages":[{"maximumNorm":1},{"maximumNorm":"1"}],"limits":{}}"#,
            "invalidDocument: expected a number, \"NaN\", \"Infinity\" or \"-Infinity\", found \"1\", at "
                + "stages[1].maximumNorm."
        ),
        (
            #"{"stages":[{"maximumNorm":1e39}],"limits":{}}"#,
            "invalidDocument: expected a number, \"NaN\", \"Infinity\" or \"-Infinity\", found 1e39, at "
                + "stages[0].maximumNorm."
        ),
        (
            #"{"stages":[],"limits":{"fc.weight":[]}}"#,
            "invalidDocument: expected a number, \"NaN\", \"Infinity\" or \"-Infinity\", found an array, at "
                + "limits[\"fc.weight\"]."
        ),
        (#"{"stages":{},"limits":{}}"#, "invalidDocument: expected an array, found an object, at stages."),
        ("[]", "invalidDocument: expected an object, found an array, at the top level."),
        (
            #"{"stages":[{"maximumnorm":1}],"limits":{}}"#,
            "invalidDocument: missing setting \"maximumNorm\" at stages[0]; there is \"maximumnorm\"."
        ),
        (#"{"stages":[]}"#, "invalidDocument: missing setting \"limits\" at the top level."),
        (
            #"{"stages":[],"limits":{},"scale":{"dynamic":{"initial":1,"growthInterval":1.5}}}"#,
            "invalidDocument: expected a whole number from \(Int.min) to \(Int.max), found 1.5, at "
                + "scale.dynamic.growthInterval."
        ),
    ])
    func `what does not fit is refused with its path`(_ text: String, _ expectation: String) {
        #expect(message(text) == expectation)
    }

    @Test(arguments: [
        (
            #"{"stages":[{"maximumNorm":1,"epsilom":1}],"limits":{}}"#,
            "unknownSetting: unknown setting \"epsilom\" at stages[0]; did you mean \"epsilon\"?"
        ),
        (
            #"{"stages":[],"limits":{},"Scale":null}"#,
            "unknownSetting: unknown setting \"Scale\" at the top level; did you mean \"scale\"?"
        ),
        (
            #"{"stages":[],"limits":{"anything":1},"zzzz":{"y":1}}"#,
            "unknownSetting: unknown setting \"zzzz\" at the top level; known are limits, scale, stages."
        ),
    ])
    func `settings that nothing asks for are refused, with the nearest one`(_ text: String, _ expectation: String) {
        #expect(message(text, refusingUnknownKeys: true) == expectation)
        #expect(message(text) == "no error")
    }

    @Test func `a place in a larger document goes before the path`() {
        #expect(
            message(#"{"stages":[3],"limits":{}}"#, at: "runs[4]")
                == "invalidDocument: expected an object, found 3, at runs[4].stages[0].")
    }

    @Test func `an error of a type's own keeps what it says, and gets the path`() throws {
        let json = try JSON(parsing: #"{"a":[1,-2]}"#)
        do {
            _ = try json.decode([String: [Picky]].self)
            Issue.record("Nothing was thrown.")
        } catch {
            #expect(error.code == .invalidSetting)
            #expect(error.stage == "Picky")
            #expect(error.parameter == "w")
            #expect(error.message == "a[1]: Picky: -2 is not above 0.")
        }
    }

    @Test func `a value nested too deep to be parsed again is not encoded`() {
        final class Node: Encodable {
            let next: Node?
            init(_ depth: Int) { next = depth > 1 ? Node(depth - 1) : nil }
        }
        #expect(throws: Never.self) { try JSON(parsing: JSON(encoding: Node(JSON.maximumDepth)).description) }
        #expect(throws: DescentError.self) { try JSON(encoding: Node(JSON.maximumDepth + 1)) }
    }
}
