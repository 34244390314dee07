import Foundation
import Testing

/// A tutorial: its steps that show a file, in their order.
struct Tutorial: Sendable, CustomTestStringConvertible {
    /// A step that shows a file.
    struct Step: Sendable, CustomTestStringConvertible {
        /// Which file the reader makes of it, or `Output` or `Terminal`.
        let name: String
        /// The file that is shown, by its name.
        let file: String
        let text: String
        /// The text of the library that the file imports; empty if it imports none that the tutorial makes.
        fileprivate(set) var library = ""

        var testDescription: String { file }

        /// Whether it is a program, a library or a test, all of which compile with Descent.
        var isSource: Bool { file.hasSuffix(".swift") && !isManifest }
        var isManifest: Bool { name == "Package.swift" }
        var isTest: Bool { name.hasPrefix("Tests/") }
        var isProgram: Bool { name.hasSuffix("/main.swift") }
        fileprivate var isLibrary: Bool { isSource && !isTest && !isProgram }

        /// The name of the module that it is a source of, or a test of.
        fileprivate var module: String { name.split(separator: "/").dropFirst().first.map(String.init) ?? "" }

        /// The file as a whole program: with the library that it imports in the place of the import.
        var program: String { library.isEmpty ? text : "\(library)\n\(text)" }
    }

    static let folder = Markdown.repository.appendingPathComponent("\(Documentation.catalog)/Tutorials")

    /// All tutorials of the catalog.
    static let all: [Tutorial] = {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return files.sorted().filter { $0.hasSuffix(".tutorial") }.compactMap { try? Tutorial($0) }
            .filter { !$0.steps.isEmpty }
    }()

    let name: String
    let steps: [Step]

    var testDescription: String { name }

    /// Reads a tutorial and the files that it shows.
    ///
    /// - Throws: An error if one of the files is not there.
    init(_ name: String) throws {
        self.name = name
        let text = try String(contentsOf: Self.folder.appendingPathComponent(name), encoding: .utf8)
        var steps: [Step] = []
        var library: Step?
        for match in text.matches(of: /@Code\(name: "([^"]+)", file: "([^"]+)"/) {
            let file = Self.folder.appendingPathComponent("Code/\(match.2)")
            var shown = try String(contentsOf: file, encoding: .utf8)
            var imported = ""
            if let library {
                let lines = shown.split(separator: "\n", omittingEmptySubsequences: false)
                let others = lines.filter { !$0.hasSuffix("import \(library.module)") }
                if others.count < lines.count {
                    imported = library.text
                    shown = others.joined(separator: "\n")
                }
            }
            var step = Step(name: String(match.1), file: String(match.2), text: shown)
            step.library = imported
            if step.isLibrary { library = step }
            steps.append(step)
        }
        self.steps = steps
    }

    /// Each step that shows what a program prints, with the program, which is the last one before it.
    var outputs: [(program: Step, output: Step)] {
        steps.indices.filter { steps[$0].name == "Output" }.compactMap { index in
            steps[..<index].last { $0.isProgram }.map { ($0, steps[index]) }
        }
    }
}
