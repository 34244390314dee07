import Foundation

/// A job of several ranks on this machine.
struct Job {
    /// How it ended.
    struct Ending {
        let status: Int32
        let output: String
        let duration: Duration
    }

    /// Runs a program as so many ranks, one thread each, which yield the processor while they wait.
    static func run(_ program: String, _ arguments: [String], ranks: Int) throws -> Ending {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments =
            [
                "mpirun", "--oversubscribe", "--mca", "mpi_yield_when_idle", "1", "--mca",
                "btl_base_warn_component_unused",
                "0", "-n", "\(ranks)", products.appending(path: program).path,
            ] + arguments
        var environment = ProcessInfo.processInfo.environment
        // A container's only user is often root, whom mpirun turns away unless told otherwise.
        environment["OMPI_ALLOW_RUN_AS_ROOT"] = "1"
        environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1"
        process.environment = environment
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        process.standardInput = FileHandle.nullDevice
        let start = ContinuousClock.now
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return Ending(
            status: process.terminationStatus, output: String(decoding: output, as: UTF8.self),
            duration: ContinuousClock.now - start)
    }

    /// Where the package's programs have been built: beside the tests.
    private static var products: URL {
        let bundle = Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") }
        return (bundle?.bundleURL ?? URL(fileURLWithPath: CommandLine.arguments[0])).deletingLastPathComponent()
    }
}
