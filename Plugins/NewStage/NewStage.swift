import Foundation
import PackagePlugin

/// Makes a package with a stage of one's own: `swift package new-stage GradientNoise`.
@main
struct NewStage: CommandPlugin {
    /// Reads the arguments and writes the package.
    ///
    /// - Throws: ``Refusal`` with what to do instead; what the file system objects to.
    func performCommand(context: PluginContext, arguments: [String]) throws {
        let request = try Request(arguments)
        guard let name = request.name else { return print(Request.usage) }
        let stage = try StageName(name)
        let caller = context.package.directoryURL
        let folder =
            request.folder.map { URL(fileURLWithPath: $0, relativeTo: caller).standardizedFileURL }
            ?? caller.appendingPathComponent("Plugins").appendingPathComponent(stage.type)
        let dependency = try DescentDependency(of: context.package, for: folder)
        try write(StagePackage(stage: stage, dependency: dependency).files, to: folder)
        print(
            """
            Made the package \(stage.type) in \(folder.path).

              swift test --package-path \(quoted(folder.path))

            Sources/\(stage.module)/\(stage.type).swift is the stage: write yours there.
            """)
    }

    private func write(_ files: [(path: String, text: String)], to folder: URL) throws {
        let manager = FileManager.default
        if let found = try? manager.contentsOfDirectory(atPath: folder.path), !found.isEmpty {
            throw Refusal(
                "the folder \(folder.path) is not empty. Name another with --folder, or remove it.")
        }
        do {
            for file in files {
                let url = folder.appendingPathComponent(file.path)
                try manager.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(file.text.utf8).write(to: url)
            }
        } catch {
            throw Refusal(
                """
                \(folder.path) cannot be written to: \(error.localizedDescription)
                Outside the package directory, macOS needs: swift package --allow-writing-to-directory <folder> new-stage …
                """)
        }
    }

    private func quoted(_ path: String) -> String { path.contains(" ") ? "'\(path)'" : path }
}

/// Why no package is made, and what to do.
struct Refusal: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
