import Foundation

/// Runs this program again for one measurement, so that its peak of memory is its own.
struct OwnProcess {
    /// What to call the program with.
    let arguments: [String]

    /// Waits for the measurement.
    func measurement() throws -> Measurement {
        guard let program = Bundle.main.executableURL else { throw Failure(description: "the program is not found") }
        let process = Process()
        process.executableURL = program
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationReason == .exit, process.terminationStatus == 0 else {
            throw Failure(
                description: "\"\(arguments.joined(separator: " "))\" ended with \(process.terminationStatus)")
        }
        return try JSONDecoder().decode(Measurement.self, from: data)
    }

    private struct Failure: Error, CustomStringConvertible {
        let description: String
    }
}
