import Foundation

/// The targets of the package, as its manifest lists them.
///
/// The text is read, not what the package manager makes of it: a test does not start the package manager that runs it.
struct Manifest {
    struct Target {
        let name: String
        /// `target`, `executableTarget`, `testTarget` or `plugin`.
        let kind: String
        /// The names of targets of this package that it is built on.
        let dependencies: [String]
        /// Where its sources are, if the manifest says so.
        let path: String?
    }

    /// The targets, in the order of the manifest.
    let targets: [Target]

    /// Reads the manifest at the top of the repository.
    init() throws {
        self.init(try String(contentsOf: Markdown.repository.appendingPathComponent("Package.swift"), encoding: .utf8))
    }

    /// Reads a manifest whose lists are written out.
    init(_ text: String) {
        let start = text.firstRange(of: "\n    targets: [")?.upperBound ?? text.endIndex
        targets = text[start...].matches(of: /\.(target|executableTarget|testTarget|plugin)\(/).map { match in
            let arguments = Self.balanced(text[match.range.upperBound...])
            let name = arguments.firstMatch(of: /name: "([^"]+)"/).map { String($0.1) } ?? ""
            let dependencies = arguments.firstMatch(of: /dependencies: \[([^\]]*)\]/)?.1 ?? ""
            return Target(
                name: name, kind: String(match.1),
                dependencies: dependencies.matches(of: /"([^"]+)"/).map { String($0.1) },
                path: arguments.firstMatch(of: /path: "([^"]+)"/).map { String($0.1) })
        }.filter { !$0.name.isEmpty }
    }

    /// Targets and all that they are built on, directly or not.
    func closure(of names: [String]) -> [String] {
        var found: Set<String> = []
        var open = names
        while let next = open.popLast() {
            guard found.insert(next).inserted else { continue }
            open += targets.first { $0.name == next }?.dependencies ?? []
        }
        return found.sorted()
    }

    /// The text up to the parenthesis that closes the one before it.
    private static func balanced(_ text: Substring) -> Substring {
        var depth = 1
        let end = text.firstIndex { character in
            depth += character == "(" ? 1 : character == ")" ? -1 : 0
            return depth == 0
        }
        return text[..<(end ?? text.endIndex)]
    }
}
