import Foundation

/// A program as it is called: its help, its errors and its exit status, the same for all.
///
/// The status is 0 if everything went well and what the program checks holds, 1 if not, and 2 if the command line makes no
/// sense. A program that a signal ends has the status that its shell gives it: 128 and the signal's number.
package struct Command {
    /// What it is called.
    package let name: String
    /// What `--help` prints: `usage:` with a line for each way to call it, then what it does.
    package let usage: String

    /// Describes a program.
    package init(_ name: String, usage: String) {
        self.name = name
        self.usage = usage
    }

    /// Runs the program and ends it.
    ///
    /// `--help` or `-h` prints the usage. Errors go to standard error, behind the program's name.
    ///
    /// - Parameter body: Takes the arguments and does what they ask for; it gives the status to end with.
    package func run(_ body: (inout ArgumentList, Console) throws -> CInt) -> Never {
        let console = Console()
        let words = CommandLine.arguments.dropFirst()
        if words.contains("--help") || words.contains("-h") {
            console.write(usage)
            exit(0)
        }
        do {
            var arguments = ArgumentList(words, usage: usage)
            exit(try body(&arguments, console))
        } catch let error as BadArgument {
            console.complain("\(name): \(error)\n\(name) --help says more.")
            exit(2)
        } catch {
            console.complain("\(name): \(error)")
            exit(1)
        }
    }

    /// Says on standard error that the program was built without optimization, if it was.
    package func complainIfNotOptimized(_ console: Console) {
        #if DEBUG
            console.complain("\(name): built without optimization, which takes minutes; swift run -c release \(name)")
        #endif
    }
}
