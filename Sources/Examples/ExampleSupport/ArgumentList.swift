import Foundation

/// The words of a command line, taken one after another.
package struct ArgumentList {
    private var words: ArraySlice<String>
    private let usage: String

    /// The words behind a program's name, and its usage, which names all options.
    init(_ words: ArraySlice<String>, usage: String) {
        self.words = words
        self.usage = usage
    }

    /// Takes the next word; nil if there is none.
    package mutating func next() -> String? { words.popFirst() }

    /// Takes the next word if it is an option.
    ///
    /// - Throws: ``BadArgument`` if it is another option.
    package mutating func next(if option: String) throws -> Bool {
        guard let word = words.first, word.hasPrefix("-") else { return false }
        guard word == option else { throw unknown(word) }
        words.removeFirst()
        return true
    }

    /// Takes the next word, which is a path; nil if there is none.
    ///
    /// - Throws: ``BadArgument`` if it is an option.
    package mutating func nextPath() throws -> String? {
        if let word = words.first, word.hasPrefix("-") { throw unknown(word) }
        return words.popFirst()
    }

    /// Refuses words that are left.
    ///
    /// - Throws: ``BadArgument`` that names the first of them.
    package mutating func end() throws {
        if let word = next() { throw unknown(word) }
    }

    /// Takes the word that belongs to an option.
    ///
    /// - Throws: ``BadArgument`` if there is none.
    package mutating func value(of option: String) throws -> String {
        guard let value = next() else { throw BadArgument("\(option) needs a value") }
        return value
    }

    /// Takes the number that belongs to an option.
    ///
    /// - Parameters:
    ///   - option: The option.
    ///   - expectation: What it has to be, as "a whole number from 1".
    ///   - isInRange: Whether a number is that.
    /// - Returns: The number.
    /// - Throws: ``BadArgument`` if there is none, or it is something else.
    package mutating func number<Number: LosslessStringConvertible>(
        of option: String, _ expectation: String, where isInRange: (Number) -> Bool
    ) throws -> Number {
        try number(value(of: option), of: option, expectation, where: isInRange)
    }

    /// A word as a number.
    ///
    /// - Throws: ``BadArgument`` if it is something else.
    package func number<Number: LosslessStringConvertible>(
        _ word: String, of name: String, _ expectation: String, where isInRange: (Number) -> Bool
    ) throws -> Number {
        guard let number = Number(word), isInRange(number) else {
            throw BadArgument("\(name) is \"\(word)\"; it has to be \(expectation)")
        }
        return number
    }

    /// What to throw for a word that the program does not know; it lists the options that the usage names.
    package func unknown(_ word: String) -> BadArgument {
        let options = options.joined(separator: ", ")
        return BadArgument(
            word.hasPrefix("-")
                ? "there is no option \"\(word)\"; there are \(options)"
                : "\"\(word)\" is one argument too many; options are \(options)")
    }

    /// All words of the usage that begin with two dashes, in their order, and `--help`.
    private var options: [String] {
        let words = usage.split { !$0.isLetter && !$0.isNumber && $0 != "-" }.map(String.init)
        var options: [String] = []
        for word in words + ["--help"] where word.hasPrefix("--") && word.count > 2 && !options.contains(word) {
            options.append(word)
        }
        return options
    }
}
