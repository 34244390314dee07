package import Foundation

/// A program of this package that runs beside a test.
///
/// Foundation's `Process` needs a run loop to notice that one has ended.
package struct ChildProcess {
    private let identifier: pid_t

    /// Says why a program cannot be started.
    private struct Failure: Error {
        let program: String
        let number: CInt
    }

    /// Starts a program that was built beside a test's bundle.
    ///
    /// - Parameters:
    ///   - name: What the program is called.
    ///   - arguments: What follows its name.
    ///   - bundle: The bundle of the test's module.
    ///   - output: The files for standard output and standard error; nil leaves them those of the test.
    /// - Throws: The system's reason, if it cannot be started.
    package init(
        _ name: String, _ arguments: [String], beside bundle: Bundle, output: (standard: String, error: String)? = nil
    ) throws {
        let program = bundle.bundleURL.deletingLastPathComponent().appendingPathComponent(name).path
        var words = [program] + arguments
        if let output {
            // The shell opens the files and becomes the program, which so has the number that is signaled.
            let script = "out=$1 err=$2; shift 2; exec \"$0\" \"$@\" >\"$out\" 2>\"$err\""
            words = ["/bin/sh", "-c", script, program, output.standard, output.error] + arguments
        }
        var pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
        pointers.append(nil)
        defer { for pointer in pointers { free(pointer) } }
        var identifier = pid_t()
        let number = posix_spawn(&identifier, words[0], nil, nil, pointers, nil)
        guard number == 0 else { throw Failure(program: program, number: number) }
        self.identifier = identifier
    }

    /// Sends a signal, and says whether the program was there to receive it.
    package func signal(_ number: CInt) -> Bool { kill(identifier, number) == 0 }

    /// How a program has ended.
    package enum End: Equatable {
        case exit(CInt)
        case signal(CInt)
    }

    /// Waits until the program has ended.
    package func end() -> End {
        var status: CInt = 0
        while waitpid(identifier, &status, 0) < 0, errno == EINTR {}
        return status & 0x7f == 0 ? .exit(status >> 8 & 0xff) : .signal(status & 0x7f)
    }
}
