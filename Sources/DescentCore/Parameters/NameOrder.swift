/// The order of parameters that come without one, out of a dictionary: part by part of their names, numbers by their size.
///
/// Names that begin alike stand together, `layers.9.weight` before `layers.10.weight`, and `fc.weight` before `fc-2.weight`,
/// as if each level of the model were sorted by itself. Letters are compared by their bytes in UTF-8, numbers are those of
/// the digits 0 to 9. The order is total, and depends on nothing but the names.
enum NameOrder {
    /// Whether one name comes before another.
    static func precedes(_ first: String, _ second: String) -> Bool {
        var (left, right) = (first.utf8[...], second.utf8[...])
        while let byte = left.first, let other = right.first {
            if isDigit(byte), isDigit(other) {
                let (number, another) = (takeNumber(&left), takeNumber(&right))
                if number.count != another.count { return number.count < another.count }
                if !number.elementsEqual(another) { return number.lexicographicallyPrecedes(another) }
            } else if byte != other {
                return rank(byte) < rank(other)
            } else {
                left.removeFirst()
                right.removeFirst()
            }
        }
        if left.isEmpty != right.isEmpty { return left.isEmpty }
        // Numbers that differ in leading zeros alone.
        return first.utf8.lexicographicallyPrecedes(second.utf8)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    /// What a byte counts; the end of a part comes before everything that continues it.
    private static func rank(_ byte: UInt8) -> Int { byte == UInt8(ascii: ".") ? -1 : Int(byte) }

    /// Takes the digits off the front of a text; gives them without leading zeros.
    private static func takeNumber(_ text: inout Substring.UTF8View) -> Substring.UTF8View {
        let digits = text.prefix(while: isDigit)
        text = text.dropFirst(digits.count)
        return digits.drop { $0 == UInt8(ascii: "0") }
    }
}
