import Foundation

/// What the program was called with.
struct Arguments {
    private(set) var matrixCount = 24
    private(set) var rows = 1_024
    private(set) var columns = 1_024
    private(set) var rounds = 5
    private(set) var threads = ProcessInfo.processInfo.activeProcessorCount
    private(set) var largestRatio = Double.infinity
    private(set) var waitsForTurns = false
    private(set) var asksForHelp = false

    /// What `--help` prints.
    static let help = """
        usage: muon-bench [--matrices n] [--rows n] [--columns n] [--rounds n] [--threads n] [--limit x]

        Measures a step of Muon over matrices, in turns with nothing but its products by the same BLAS.

        --matrices n   how many matrices there are (24)
        --rows n       the rows of each (1024)
        --columns n    the columns of each (1024)
        --rounds n     how often each has its turn (5)
        --threads n    how many threads (as many as processors)
        --limit x      fails if a step takes longer than x times its products, in the median of rounds
        --in-turns     for Tests/Peers/muon.py: makes ready, then measures for so many seconds for each line read

        OpenBLAS chooses its kernels by the processor, and takes older ones for a processor newer than itself. The
        environment variable OPENBLAS_CORETYPE names others: SkylakeX is right for those with AVX-512.
        """

    /// Reads arguments.
    ///
    /// - Throws: ``BadArgument`` for what is not understood.
    init(_ arguments: [String]) throws {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "--in-turns": waitsForTurns = true
            case "--help", "-h": asksForHelp = true
            case "--matrices": matrixCount = try Self.number(of: argument, &rest) { $0 >= 1 }
            case "--rows": rows = try Self.number(of: argument, &rest) { $0 >= 1 }
            case "--columns": columns = try Self.number(of: argument, &rest) { $0 >= 1 }
            case "--rounds": rounds = try Self.number(of: argument, &rest) { $0 >= 1 }
            case "--threads": threads = try Self.number(of: argument, &rest) { $0 >= 1 }
            case "--limit": largestRatio = try Self.number(of: argument, &rest) { $0 > 0 }
            default: throw BadArgument(description: "there is no option \"\(argument)\"")
            }
        }
    }

    private static func number<Number: LosslessStringConvertible>(
        of option: String, _ rest: inout ArraySlice<String>, where isInRange: (Number) -> Bool
    ) throws -> Number {
        guard let text = rest.popFirst(), let number = Number(text), isInRange(number) else {
            throw BadArgument(description: "\(option) needs a number in its range")
        }
        return number
    }
}

/// Says what is wrong with an argument.
struct BadArgument: Error, CustomStringConvertible {
    let description: String
}
