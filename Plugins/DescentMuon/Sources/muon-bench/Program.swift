import DescentMuon
import Foundation

/// Measures how fast Muon is, and how close that is to the products that it is made of.
@main
struct Program {
    /// Runs the program; its status is 1 if something failed, or if a step takes longer than is allowed.
    static func main() {
        do {
            let arguments = try Arguments(Array(CommandLine.arguments.dropFirst()))
            if arguments.asksForHelp { return print(Arguments.help) }
            #if DEBUG
                complain("built without optimization; swift run -c release muon-bench")
            #endif
            var subject = try Subject(arguments)
            if arguments.waitsForTurns { return try PeerTurns(subject).run() }
            guard try Comparison(of: &subject, arguments).reported() else { exit(1) }
        } catch {
            complain("\(error)")
            exit(1)
        }
    }

    private static func complain(_ line: String) {
        FileHandle.standardError.write(Data("muon-bench: \(line)\n".utf8))
    }
}
