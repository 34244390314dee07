import ExampleSupport
import Foundation

/// What the program was called with.
struct Arguments {
    /// Where a checkpoint goes unless a file is given.
    static let usualCheckpoint = "language-model.safetensors"

    /// After how many updates training ends; nil is the usual number, or that of the checkpoint.
    private(set) var stepCount: Int?
    /// The checkpoint to go on from.
    private(set) var resumed: String?
    /// Where the checkpoint goes when training ends; nil if there is to be none.
    private(set) var checkpoint: String?
    /// The files to learn from, from the root on; none for the documentation.
    private(set) var texts: [String] = []
    /// Whether micro-batches are compared with large batches.
    private(set) var compares = false
    /// Where the checkpoint goes when training is interrupted.
    let checkpointPath: String

    /// Reads arguments.
    ///
    /// - Throws: `BadArgument` for what makes no sense.
    init(_ arguments: inout ArgumentList) throws {
        while let argument = arguments.next() {
            switch argument {
            case "--steps":
                stepCount = try arguments.number(of: argument, "a whole number from 1") { $0 >= 1 }
            case "--checkpoint": checkpoint = try arguments.value(of: argument)
            case "--resume": resumed = try arguments.value(of: argument)
            case "--text": texts.append(URL(fileURLWithPath: try arguments.value(of: argument)).path)
            case "--compare": compares = true
            default: throw arguments.unknown(argument)
            }
        }
        guard resumed == nil || (stepCount == nil && checkpoint == nil) else {
            throw BadArgument(
                "--resume has the steps of the checkpoint, and its file; give neither --steps nor --checkpoint")
        }
        guard !compares || (stepCount == nil && checkpoint == nil && resumed == nil) else {
            throw BadArgument("--compare can be given with --text alone")
        }
        checkpoint = checkpoint ?? resumed
        checkpointPath = compares ? "" : try OutputFile(checkpoint ?? Self.usualCheckpoint).path
    }

    /// What to type to go on from the checkpoint.
    var resumingCommand: String {
        let program = Bundle.main.executablePath ?? CommandLine.arguments[0]
        let words = [program, "--resume", checkpointPath] + texts.flatMap { ["--text", $0] }
        return words.map(\.quotedForShell).joined(separator: " ")
    }
}

extension String {
    /// In quotes, if a shell would take it for something else.
    fileprivate var quotedForShell: String {
        let plain = allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "/._-+=:,".contains($0)) }
        return plain && !isEmpty ? self : "'" + replacingOccurrences(of: "'", with: "'\\''") + "'"
    }
}
