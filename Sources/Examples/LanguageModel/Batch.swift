/// Passages of text, one after another, each token with the one that follows it.
///
/// Passages differ in length, and nothing is padded.
package struct Batch {
    /// The tokens of all passages.
    package private(set) var tokens: [Int] = []
    /// The token that comes after each.
    package private(set) var targets: [Int] = []
    /// Which tokens are each passage's.
    package private(set) var passages: [Range<Int>] = []

    /// A batch without passages.
    package init() {}

    /// The passages of several batches.
    package init(joining batches: [Batch]) {
        for batch in batches {
            for passage in batch.passages { append(batch.tokens[passage], targets: batch.targets[passage]) }
        }
    }

    /// Appends the passage in which each token of a text but the last is followed by the next.
    package mutating func append(_ text: some RandomAccessCollection<Int>) {
        append(text.dropLast(), targets: text.dropFirst())
    }

    private mutating func append(_ tokens: some Collection<Int>, targets: some Collection<Int>) {
        passages.append(self.tokens.count..<self.tokens.count + tokens.count)
        self.tokens += tokens
        self.targets += targets
    }
}
