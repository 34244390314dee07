import Foundation
import Testing

/// The compiler on the path, with the modules of this test run.
struct SwiftCompiler {
    private let products: URL
    private let modules: URL

    /// Looks for the modules in the folders above the test's resources, which lie where the build put its products.
    init() throws {
        let above = sequence(first: Bundle.module.bundleURL) { $0.deletingLastPathComponent() }.dropFirst().prefix(5)
        let folders = above.flatMap { [$0.appendingPathComponent("Modules"), $0] }
        modules = try #require(
            folders.first {
                FileManager.default.fileExists(atPath: $0.appendingPathComponent("Descent.swiftmodule").path)
            }, "no Descent.swiftmodule in \(folders.map(\.path))")
        products = modules.lastPathComponent == "Modules" ? modules.deletingLastPathComponent() : modules
    }

    /// What the compiler says about a program, or nil if it has nothing to say.
    func complaints(about program: String) throws -> String? {
        try Self.withFile(program, named: "main.swift") { file in
            let result = try compile([file], ["-emit-sil", "-o", "/dev/null"])
            return result.status == 0 ? nil : "swiftc ended with \(result.status):\n\(result.output)"
        }
    }

    /// Compiles a program, links it with the objects of modules, and runs it.
    ///
    /// - Parameters:
    ///   - program: The text of the program.
    ///   - name: The name of its file, which is `main.swift` if statements stand at its top.
    ///   - targets: The targets that it is linked with.
    /// - Returns: What the program prints, or what the compiler says, and the status of the one that ran last.
    /// - Throws: An error if there are no objects, or if a process cannot be started.
    func run(_ program: String, named name: String = "main.swift", with targets: [String]) throws -> RunResult {
        try Self.withFile(program, named: name) { file in
            let executable = file.deletingLastPathComponent().appendingPathComponent("program")
            let entry = name == "main.swift" ? [] : ["-parse-as-library"]
            let objects = try targets.flatMap(objects)
            let result = try compile([file], entry + ["-o", executable.path] + objects)
            guard result.status == 0 else { return result }
            return try Self.run(executable.path, [])
        }
    }

    /// Compiles a program together with source files of the package, as one module with optimization, and runs it.
    ///
    /// - Parameters:
    ///   - program: The text of the program, whose entry is marked `@main`.
    ///   - sources: The paths of the files in the repository.
    /// - Returns: What the program prints, or what the compiler says, and the status of the one that ran last.
    /// - Throws: An error if a process cannot be started.
    static func runOptimized(_ program: String, with sources: [String]) throws -> RunResult {
        try withFile(program, named: "program.swift") { file in
            let executable = file.deletingLastPathComponent().appendingPathComponent("program")
            let files = [file.path] + sources.map { Markdown.repository.appendingPathComponent($0).path }
            let arguments = ["swiftc", "-O", "-swift-version", "6", "-parse-as-library", "-package-name", "descent"]
            let result = try run("/usr/bin/env", arguments + files + ["-o", executable.path])
            return result.status == 0 ? try run(executable.path, []) : result
        }
    }

    /// Compiles a file of tests with Descent and its kit, and runs them.
    ///
    /// - Parameters:
    ///   - tests: The text of the file, with all that it tests.
    ///   - name: The name of the file.
    /// - Returns: What the run of the tests prints, or what the compiler says.
    /// - Throws: An error if there are no objects, or if a process cannot be started.
    func runTests(_ tests: String, named name: String) throws -> RunResult {
        let entry = """
            @main struct Runner {
                static func main() async { await Testing.__swiftPMEntryPoint() as Never }
            }

            """
        let targets = try Manifest().closure(of: ["Descent", "AllocationCounter", "DescentTestKit"])
        return try run(entry + tests, named: name, with: targets)
    }

    /// What the compiler says about a manifest of a package, or nil if it has nothing to say.
    static func complaints(aboutManifest manifest: String) throws -> String? {
        try withFile(manifest, named: "Package.swift") { file in
            // The module of manifests lies beside the compiler, which says where that is.
            let info = try run("/usr/bin/env", ["swiftc", "-print-target-info"]).output
            let path = try #require(info.firstMatch(of: /"runtimeResourcePath": "([^"]+)"/)?.1)
            let version = try #require(manifest.firstMatch(of: /swift-tools-version: (\d+\.\d+)/)?.1)
            let result = try run(
                "/usr/bin/env",
                [
                    "swiftc", "-typecheck", "-I", "\(path)/pm/ManifestAPI", "-package-description-version",
                    "\(version).0", file.path,
                ])
            return result.status == 0 ? nil : "swiftc ended with \(result.status):\n\(result.output)"
        }
    }

    /// How a process ended.
    struct RunResult {
        let status: Int32
        /// What it wrote, to standard output and to standard error.
        let output: String
    }

    private func compile(_ files: [URL], _ arguments: [String]) throws -> RunResult {
        try Self.run(
            "/usr/bin/env",
            ["swiftc", "-swift-version", "6", "-warnings-as-errors", "-I", modules.path]
                + (try moduleMaps.flatMap { ["-Xcc", "-fmodule-map-file=\($0.path)"] }) + files.map(\.path) + arguments)
    }

    private static func withFile<Result>(
        _ text: String, named name: String, _ body: (URL) throws -> Result
    ) throws -> Result {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("descent-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent(name)
        try text.write(to: file, atomically: true, encoding: .utf8)
        return try body(file)
    }

    private static func run(_ program: String, _ arguments: [String]) throws -> RunResult {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return RunResult(status: process.terminationStatus, output: output)
    }

    /// What the build made of a target and linked these tests with; its folder also keeps objects of files that are gone.
    private func objects(of target: String) throws -> [String] {
        let list = products.appendingPathComponent("swift-descentPackageTests.product/Objects.LinkFileList")
        let linked = try String(contentsOf: list, encoding: .utf8).split(separator: "\n").map(String.init)
        let objects = linked.filter { $0.contains("/\(target).build/") }
        try #require(!objects.isEmpty, "no objects of \(target) in \(list.path)")
        return objects
    }

    /// The maps of modules in C that modules in Swift are built on: made by the build, or written by hand.
    private var moduleMaps: [URL] {
        get throws {
            let folders =
                try FileManager.default.contentsOfDirectory(at: products, includingPropertiesForKeys: nil)
                + FileManager.default.contentsOfDirectory(
                    at: Markdown.repository.appendingPathComponent("Sources"), includingPropertiesForKeys: nil
                ).map { $0.appendingPathComponent("include") }
            return folders.map { $0.appendingPathComponent("module.modulemap") }
                .filter { FileManager.default.fileExists(atPath: $0.path) }
        }
    }
}
