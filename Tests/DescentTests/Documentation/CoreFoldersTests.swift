import Foundation
import Testing

/// The folders of the core, which know each other one way: each those before it in this list, none those after it.
@Suite struct CoreFoldersTests {
    static let order = [
        "Numerics", "Schedules", "Parameters", "Statistics", "Outcomes", "Blocks", "Backend", "Stages", "Optimizers",
        "Configuration", "Planning", "State", "Engine", "Pipeline",
    ]

    private static let core = Markdown.repository.appendingPathComponent("Sources/DescentCore")

    /// The code of a folder's files, without comments and text.
    private func code(of folder: String) throws -> [(file: String, code: String)] {
        let folder = Self.core.appendingPathComponent(folder)
        return try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".swift") }.map {
            let text = try String(contentsOf: folder.appendingPathComponent($0), encoding: .utf8)
            return ($0, text.replacing(/\/\/.*/, with: "").replacing(/"(?:\\.|[^"\\\n])*"/, with: ""))
        }
    }

    @Test func `no folder uses a type of a folder that comes after it`() throws {
        let declaration =
            /(?:^|\n)(?:(?:public|package|final|indirect) )*(?:struct|enum|class|protocol|typealias) (\w+)/
        var owners: [Substring: Int] = [:]
        for (index, folder) in Self.order.enumerated() {
            for (_, code) in try code(of: folder) {
                for match in code.matches(of: declaration) { owners[match.1] = index }
            }
        }
        #expect(owners.count > 50)
        for (index, folder) in Self.order.enumerated() {
            for (file, code) in try code(of: folder) {
                let names = Set(code.matches(of: /\b[A-Z]\w+/).map(\.output))
                let later = names.filter { owners[$0].map { $0 > index } ?? false }.sorted()
                #expect(later.isEmpty, "\(folder)/\(file) uses \(later.joined(separator: ", "))")
            }
        }
    }

    @Test func `every folder of the core has its place`() throws {
        let found = try FileManager.default.contentsOfDirectory(atPath: Self.core.path)
            .filter { !$0.contains(".") }.sorted()
        #expect(found == Self.order.sorted())
    }
}
