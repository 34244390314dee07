/// The characters that a model tells apart, each a token: those that are frequent, and one token for all others.
package struct Vocabulary {
    /// The token of what is rare, which is shown as this character.
    private static let rare: Character = "\u{FFFD}"
    private let characters: [Character]
    private let tokens: [Character: Int]

    /// The characters that a text has at least some number of times, in their Unicode order.
    package init(of text: String, minimumCount: Int = 20) {
        var counts: [Character: Int] = [:]
        for character in text { counts[character, default: 0] += 1 }
        characters = [Self.rare] + counts.filter { $0.value >= minimumCount && $0.key != Self.rare }.keys.sorted()
        tokens = Dictionary(uniqueKeysWithValues: zip(characters, characters.indices))
    }

    /// How many tokens there are.
    package var count: Int { characters.count }

    /// The tokens of a text.
    package func tokens(of text: String) -> [Int] { text.map { tokens[$0] ?? 0 } }

    /// What a token stands for.
    func character(of token: Int) -> Character { characters[token] }
}
