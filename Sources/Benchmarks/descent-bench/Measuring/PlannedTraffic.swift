import Descent

/// What one update of the parameters reads from memory and writes to it, as the pipeline's own explanation has it.
///
/// A sweep says it in lines such as
///
///     reads 16 B for each element: gradient, parameter, AdamW.first moment, AdamW.second moment
///     writes 12 B for each element: parameter, AdamW.first moment, AdamW.second moment
///
/// where "up to" in front of the number says that some parameters take less. What a sweep keeps a row or a tensor of does
/// not count.
struct PlannedTraffic {
    /// What one sweep moves for each element, in bytes.
    struct Sweep: Equatable {
        /// What is read.
        var read = 0
        /// What is written.
        var written = 0
        /// What is written and has not been read.
        var onlyWritten = 0

        /// What is read and not written.
        var onlyRead: Int { read - readAndWritten }
        /// What is read, and then written in the same place.
        var readAndWritten: Int { written - onlyWritten }
    }

    /// The sweeps of an update in order; with micro-batches, those of a whole window.
    let sweeps: [Sweep]
    /// Whether some parameters take less than that.
    let isUpperBound: Bool

    /// What is read and written in one update, for each element.
    var bytesPerElement: Int { sweeps.reduce(0) { $0 + $1.read + $1.written } }

    /// Reads the explanation of a subject's pipeline.
    init(of subject: Subject) throws {
        let explanation = subject.pipeline.explain()
        var (sections, isUpperBound): ([[Sweep]], Bool) = ([], false)
        for line in explanation.split(separator: "\n") {
            if line.contains(#/^A (step|micro-batch).*: \d+ sweeps?$/#) { sections.append([]) }
            guard let section = sections.indices.last else { continue }
            if line.hasPrefix("  sweep ") { sections[section].append(Sweep()) }
            guard let part = Part(line), let sweep = sections[section].indices.last else { continue }
            isUpperBound = isUpperBound || part.isUpperBound
            sections[section][sweep].add(part, of: subject)
        }
        self.isUpperBound = isUpperBound
        // One micro-batch that leaves the window open, and one that closes it; or a step.
        let microBatches = subject.chain.microBatchCount
        guard sections.count == min(microBatches, 2), sections.allSatisfy({ $0.contains { $0.read > 0 } }) else {
            throw UnexpectedExplanation(text: explanation)
        }
        sweeps = (1...microBatches).flatMap { microBatch in
            guard microBatch < microBatches else { return sections[sections.count - 1] }
            // There is no sum yet that the first micro-batch could read.
            return microBatch == 1 ? sections[0].map(\.withoutSum) : sections[0]
        }
    }
}

extension PlannedTraffic.Sweep {
    /// The same, where what is written has not been read.
    fileprivate var withoutSum: Self { Self(read: onlyRead, written: written, onlyWritten: written) }

    /// Adds what a line says; that of what is read comes first.
    fileprivate mutating func add(_ part: Part, of subject: Subject) {
        guard part.isWritten else {
            // An explanation does not know how gradients are stored, and has 4 bytes.
            let saved = part.names.contains("gradient") ? 4 - subject.gradients.elementType.byteCount : 0
            read += part.bytes - saved
            return
        }
        written += part.bytes
        if part.names.contains("copy of parameters") {
            onlyWritten += subject.chain.configuration.parameterCopy?.byteCount ?? 0
        }
        // More may be written than has been read, as where what a pass makes is kept.
        onlyWritten = max(onlyWritten, written - read)
    }
}

/// A line that says what a sweep reads or writes.
private struct Part {
    let isWritten: Bool
    let isUpperBound: Bool
    let bytes: Int
    let names: [Substring]

    init?(_ line: Substring) {
        guard let match = line.firstMatch(of: #/^.{11}(reads|writes) (up to )?(\d+) B for each element: (.*)$/#),
            let bytes = Int(match.3)
        else { return nil }
        (isWritten, isUpperBound, self.bytes) = (match.1 == "writes", match.2 != nil, bytes)
        names = match.4.split(separator: ", ")
    }
}

/// An explanation that does not say what sweeps read and write, or says it in other words than are known here.
struct UnexpectedExplanation: Error, CustomStringConvertible {
    let text: String

    var description: String { "what the plan reads and writes is not in its explanation:\n\(text)" }
}
