import DescentErrors

extension JSON {
    /// A number, kept as the text that it is written in.
    public struct Number: Sendable, Hashable {
        /// The text, in JSON's grammar: "-12", "0.1", "6.02e+23".
        public let literal: String

        init(unchecked literal: String) { self.literal = literal }

        /// The number that a text stands for; nil if JSON's grammar knows no such number.
        public init?(literal: String) {
            var literal = literal
            let isNumber = literal.withUTF8 { bytes in
                do throws(DescentError) {
                    var reader = JSONReader(UnsafeRawBufferPointer(bytes))
                    // White space around a number would be skipped.
                    return try reader.readNumber().literal.utf8.count == bytes.count
                } catch { return false }
            }
            guard isNumber else { return nil }
            self.literal = literal
        }

        /// A whole number.
        public init(_ value: some FixedWidthInteger) { literal = String(value) }

        /// The shortest text that stands for a number and no other; nil for NaN and infinities, which JSON lacks.
        public init?(_ value: Float) {
            guard value.isFinite else { return nil }
            literal = value.description
        }

        /// The shortest text that stands for a number and no other; nil for NaN and infinities, which JSON lacks.
        public init?(_ value: Double) {
            guard value.isFinite else { return nil }
            literal = value.description
        }

        /// The number as an integer; nil if it has a fraction or does not fit.
        ///
        /// `4.0` and `4e3` are integers too, up to 2^53.
        public func integer<Integer: FixedWidthInteger>(_ type: Integer.Type = Integer.self) -> Integer? {
            if let value = Integer(literal) { return value }
            guard let value = Double(literal), value.magnitude <= 0x1p53 else { return nil }
            return Integer(exactly: value)
        }

        /// The nearest float; nil if the number is beyond the largest one.
        public var float: Float? { Float(literal).flatMap { $0.isFinite ? $0 : nil } }

        /// The nearest double; nil if the number is beyond the largest one.
        public var double: Double? { Double(literal).flatMap { $0.isFinite ? $0 : nil } }
    }
}
