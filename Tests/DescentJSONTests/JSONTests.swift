import Descent
import DescentJSON
import Testing

@Suite struct JSONTests {
    private func message(_ body: () throws -> Void) -> String {
        do { try body() } catch { return "\(error)" }
        return "no error"
    }

    // MARK: Text

    @Test(arguments: [
        "null", "true", "false", "0", "-0", "12.5e-3", "1E+400", "\"\"", "\"é😀\"", "[]", "[1,[2,null]]", "{}",
        #"{"b":1,"a":{"c":[]}}"#, "18446744073709551615", "-9223372036854775808", #""\"\\\n\r\t\b\f\u0000\u001f""#,
    ])
    func `what is parsed is printed again as it was`(_ text: String) throws {
        let json = try JSON(parsing: text)
        #expect(json.description == text)
        #expect(try JSON(parsing: " \n\(json.formatted(columns: 1))\t\r") == json)
    }

    @Test func `escapes stand for their characters`() throws {
        let json = try JSON(parsing: #""\u0041\u00e9\ud83d\ude00\/\u0000""#)
        #expect(json.string == "Aé😀/\0")
    }

    @Test(arguments: [
        ("", "line 1, column 1: expected a value, found the end of the text"),
        ("[1,]", "line 1, column 4: expected a value, found \"]\""),
        ("[1 2]", "line 1, column 4: expected \",\" or \"]\", found \"2\""),
        ("{\"a\":1,}", "line 1, column 8: expected a key in quotation marks, found \"}\""),
        ("{a:1}", "line 1, column 2: expected a key in quotation marks, found \"a\""),
        ("{\"a\" 1}", "line 1, column 6: expected \":\", found \"1\""),
        ("{\"a\":1", "line 1, column 7: expected \",\" or \"}\", found the end of the text"),
        ("{\n  \"é\": nul\n}", "line 2, column 11: expected \"null\", found the byte 0x0a"),
        ("01", "line 1, column 2: expected the end of the text, found \"1\""),
        ("1.", "line 1, column 3: expected a digit, found the end of the text"),
        (".5", "line 1, column 1: expected a value, found \".\""),
        ("+1", "line 1, column 1: expected a value, found \"+\""),
        ("1e", "line 1, column 3: expected a digit, found the end of the text"),
        ("NaN", "line 1, column 1: expected a value, found \"N\""),
        ("true false", "line 1, column 6: expected the end of the text, found \"f\""),
        ("\"a", "line 1, column 3: expected the end of a string, found the end of the text"),
        ("\"a\nb\"", "line 1, column 3: expected the end of a string, found the byte 0x0a"),
        ("\"\\x\"", "line 1, column 2: there is no such escape"),
        ("\"\\u12G4\"", "line 1, column 6: expected four hexadecimal digits, found \"G\""),
        ("\"\\ud800\"", "line 1, column 2: this is half of a surrogate pair"),
        ("\"\\udc00\"", "line 1, column 2: this is half of a surrogate pair"),
        ("\"\\ud800\\u0041\"", "line 1, column 2: this is half of a surrogate pair"),
        ("{\"a\":1, \"a\":2}", "line 1, column 9: the key \"a\" is there twice"),
        ("{\"a\":1, \"\\u0061\":2}", "line 1, column 9: the key \"a\" is there twice"),
        ("\u{feff}1", "line 1, column 1: expected a value, found the byte 0xef"),
    ])
    func `what is not JSON is refused with its place`(_ text: String, _ expectation: String) {
        let found = message { _ = try JSON(parsing: text) }
        #expect(found.hasPrefix("invalidJSON: " + expectation), "\(found)")
    }

    @Test(
        arguments: [
            [0x22, 0xff, 0x22], [0x22, 0xc0, 0x80, 0x22], [0x22, 0xed, 0xa0, 0x80, 0x22],
            [0x22, 0xf4, 0x90, 0x80, 0x80, 0x22],
            [0x22, 0x5c, 0x6e, 0xe2, 0x82, 0x22], [0xff], [0x22, 0x00, 0x22],
        ] as [[UInt8]])
    func `what is not UTF-8 is refused`(_ bytes: [UInt8]) {
        #expect(throws: DescentError.self) { try JSON(parsing: bytes) }
    }

    @Test func `nesting is allowed up to a limit, and a million brackets do not exhaust the stack`() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        _ = try JSON(parsing: nested(JSON.maximumDepth))
        #expect(throws: DescentError.self) { try JSON(parsing: nested(JSON.maximumDepth + 1)) }
        #expect(throws: DescentError.self) { try JSON(parsing: String(repeating: "[", count: 1_000_000)) }
        #expect(throws: DescentError.self) { try JSON(parsing: String(repeating: "{\"a\":", count: 1_000_000)) }
    }

    @Test func `text for people has short values on a line each`() throws {
        let json: JSON = [
            "stages": [["stage": "Accumulate", "steps": 4], ["stage": "ClipByGlobalNorm", "maximumNorm": 1]],
            "empty": [],
        ]
        #expect(
            json.formatted(columns: 60) == """
                {
                  "stages": [
                    {"stage": "Accumulate", "steps": 4},
                    {"stage": "ClipByGlobalNorm", "maximumNorm": 1}
                  ],
                  "empty": []
                }
                """)
    }

    // MARK: Values

    @Test func `members keep their order, can be replaced and removed`() throws {
        var object = try #require(JSON(parsing: #"{"c":1,"a":2,"b":3}"#).object)
        object["a"] = "new"
        object["c"] = nil
        object["d"] = nil
        object["e"] = true
        #expect(JSON.object(object).description == #"{"a":"new","b":3,"e":true}"#)
        #expect(object["b"] == 3)
        #expect(object["c"] == nil)
    }

    @Test func `numbers are what JSON's grammar says`() {
        #expect(JSON.Number(literal: "1e5")?.integer(Int.self) == 100_000)
        #expect(JSON.Number(literal: "4.0")?.integer(UInt8.self) == 4)
        #expect(JSON.Number(literal: "4.5")?.integer(Int.self) == nil)
        #expect(JSON.Number(literal: "256")?.integer(UInt8.self) == nil)
        #expect(JSON.Number(literal: "1e400")?.double == nil)
        #expect(JSON.Number(literal: "1e39")?.float == nil)
        for text in ["", " 1", "1 ", "0x1", "inf", "1,", "--1"] { #expect(JSON.Number(literal: text) == nil) }
    }
}
