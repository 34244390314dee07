import Foundation
package import SeededNumbers

/// A text to learn from, and a part of it that is held out.
package struct Corpus {
    /// The tokens.
    package let vocabulary: Vocabulary
    /// What is trained on.
    package let training: [Int]
    /// What is not: the last tenth of each document.
    package let heldOut: [Int]

    /// A corpus of documents.
    ///
    /// - Throws: ``UnusableText`` if there is too little text for passages of a length.
    package init(_ documents: [String], context: Int) throws {
        let parts = documents.map { $0.dropLast($0.count / 10) }
        let vocabulary = Vocabulary(of: parts.joined())
        self.vocabulary = vocabulary
        training = parts.flatMap { vocabulary.tokens(of: String($0)) }
        heldOut = documents.flatMap { vocabulary.tokens(of: String($0.suffix($0.count / 10))) }
        guard heldOut.count > context else {
            throw UnusableText(
                "the text has \(training.count + heldOut.count) characters; a tenth of it, which is held out, has to be "
                    + "longer than the \(context) characters of a passage")
        }
    }

    /// The documents in files of UTF-8.
    ///
    /// - Throws: ``UnusableText`` that names the file which cannot be read.
    package static func documents(_ paths: [String]) throws -> [String] {
        try paths.map { path in
            do {
                return try String(contentsOfFile: path, encoding: .utf8)
            } catch {
                throw UnusableText("\(path) cannot be read as UTF-8: \(error.localizedDescription)")
            }
        }
    }

    /// The files of this repository's documentation: its license, README and articles.
    ///
    /// They are found from where this file was compiled, whatever folder the program runs in.
    ///
    /// - Throws: ``UnusableText`` if the repository is there no more.
    package static func documentation() throws -> [String] {
        let root = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../..").standardizedFileURL
        let articles = root.appendingPathComponent("Sources/Descent/Descent.docc")
        guard let files = try? FileManager.default.contentsOfDirectory(atPath: articles.path) else {
            throw UnusableText(
                "there is no documentation in \(articles.path), as when this program was built; name files with --text")
        }
        let names = files.filter { $0.hasSuffix(".md") }.sorted()
        return ["LICENSE", "README.md"].map { root.appendingPathComponent($0).path }
            + names.map { articles.appendingPathComponent($0).path }
    }

    /// A number that changes with the text: its FNV-1a hash.
    package var digest: UInt64 {
        (training + heldOut).reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    /// Passages from anywhere in the training text: one half of the longest length, the others down to half of it.
    package func passages(_ count: Int, context: Int, using generator: inout SeededGenerator) -> Batch {
        var batch = Batch()
        for _ in 0..<count {
            let length = min(context, Int.random(in: context / 2...context * 3 / 2, using: &generator))
            let start = Int.random(in: 0..<training.count - length, using: &generator)
            batch.append(training[start...start + length])
        }
        return batch
    }

    /// The whole held-out text in passages, as many of them in a batch as are given.
    package func heldOutBatches(of count: Int, context: Int) -> [Batch] {
        let starts = Array(stride(from: 0, to: heldOut.count - 1, by: context))
        return stride(from: 0, to: starts.count, by: count).map { first in
            var batch = Batch()
            for start in starts[first..<min(first + count, starts.count)] {
                batch.append(heldOut[start...min(start + context, heldOut.count - 1)])
            }
            return batch
        }
    }
}

/// Says why a text cannot be learned from.
package struct UnusableText: Error, CustomStringConvertible {
    package let description: String

    /// Makes an error of a reason.
    init(_ description: String) { self.description = description }
}
