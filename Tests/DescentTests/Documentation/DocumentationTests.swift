import Descent
import Foundation
import Testing

/// What the README and the articles say: their programs compile and print what is shown, and what they name is there.
@Suite struct DocumentationTests {
    @Test func `there are programs, and no other Swift than these, manifests and the tests of guides`() {
        #expect(Documentation.programs.count > 10)
        let marks = Set(Documentation.pages.flatMap { $0.page.blocks.map(\.mark) }.filter { $0.contains("swift") })
        #expect(marks == Set(["swift", "swift Package.swift"] + GuideTests.guides.map { "swift \($0.test)" }))
    }

    @Test(arguments: Documentation.programs)
    func `a block of Swift is a whole program that compiles without warnings, and prints what is shown`(
        _ program: Documentation.Program
    ) throws {
        guard let output = program.output else {
            let complaints = try SwiftCompiler().complaints(about: program.block.program)
            if let complaints { program.block.record(complaints) }
            return
        }
        let modules = try Manifest().closure(of: ["Descent", "DescentDistributed"])
        let result = try SwiftCompiler().run(program.block.program, with: modules)
        if result.status != 0 || result.output != output {
            program.block.record("it ends with \(result.status) and prints\n\(result.output)\ninstead of\n\(output)")
        }
    }

    @Test(arguments: Documentation.paths) func `what a page links to exists`(_ path: String) throws {
        let page = try Markdown(path)
        for link in page.links where !link.hasPrefix("http") {
            let name = link.dropFirst(4)
            let candidates = link.hasPrefix("doc:") ? ["\(name).md", "Tutorials/\(name).tutorial"] : [link]
            let exists = candidates.contains { relative in
                let target = page.file.deletingLastPathComponent().appendingPathComponent(relative)
                return FileManager.default.fileExists(atPath: target.standardizedFileURL.path)
            }
            #expect(exists, "\(path): \(link)")
        }
    }

    @Test(arguments: Documentation.paths) func `a script that a page names exists`(_ path: String) throws {
        let text = try String(contentsOf: Markdown(path).file, encoding: .utf8)
        for script in Set(text.matches(of: /\.ci\/[\w-]+/).map { String($0.0) }) {
            let file = Markdown.repository.appendingPathComponent(script)
            #expect(FileManager.default.fileExists(atPath: file.path), "\(path): \(script)")
        }
    }

    @Test func `the package index is told of every module that is a product`() throws {
        let lines = { (path: String) in
            try String(contentsOf: Markdown.repository.appendingPathComponent(path), encoding: .utf8)
                .split(separator: "\n")
        }
        let products = try lines("Package.swift").compactMap { $0.firstMatch(of: /\.library\(name: "(Descent\w*)"/)?.1 }
        let listed = try lines(".spi.yml").compactMap { $0.wholeMatch(of: /\s+- (Descent\w*)/)?.1 }
        #expect(products.count > 5)
        #expect(listed == products)
    }

    @Test func `the README and the first page of the catalog list every article`() throws {
        let names = Documentation.articles.map { URL(fileURLWithPath: $0).deletingPathExtension().lastPathComponent }
        #expect(names.count > 10)
        let topics = try Markdown("\(Documentation.catalog)/Descent.md").links
        let links = try Markdown("README.md").links
        for name in names {
            #expect(topics.contains("doc:\(name)"), "Descent.md does not list \(name)")
            #expect(links.contains("\(Documentation.catalog)/\(name).md"), "README.md does not list \(name)")
        }
    }

    @Test(arguments: [("stage", "Stage"), ("optimizer", "Optimizer")])
    func `what the tables list exists`(_ title: String, _ requirement: String) throws {
        let names = Documentation.table(title).compactMap { $0.first?.prefixMatch(of: /`(\w+)\(/)?.1 }
        try #require(!names.isEmpty)
        let types = names.map { "\($0).self" }.joined(separator: ", ")
        let program = "import Descent\nlet types: [any \(requirement).Type] = [\(types)]\nprint(types)"
        if let complaints = try SwiftCompiler().complaints(about: program) { Issue.record("\(complaints)") }
    }

    @Test func `what documents can name is in a table`() {
        for (title, names) in [
            ("stage", Array(Catalog.standard.stages.keys)), ("optimizer", Array(Catalog.standard.optimizers.keys)),
        ] {
            let cells = Documentation.table(title).compactMap(\.first).joined(separator: " ")
            for name in names {
                #expect(cells.contains("`\(name)("), "no table of a \(title) has \(name)")
            }
        }
    }

    @Test func `every promise names a test that exists`() throws {
        let promises = Documentation.table("promise")
        try #require(!promises.isEmpty)
        for promise in promises {
            let reference = try #require(promise.last?.wholeMatch(of: /`(\w+)`: `([^`]+)`/), "\(promise)")
            let exists = Documentation.testFile(named: reference.1).contains("func `\(reference.2)`(")
            #expect(exists, "\(reference.1) has no test named \(reference.2)")
        }
    }

    @Test func `the plan that is shown is the one that explain prints`() throws {
        let parameters = try TensorSet([
            ParameterDescription("fc1.weight", shape: [256, 64]), ParameterDescription("fc1.bias", shape: [256]),
            ParameterDescription("fc2.weight", shape: [10, 256]), ParameterDescription("fc2.bias", shape: [10]),
        ])
        let pipeline = try Pipeline(for: parameters, on: SIMDBackend(threads: 2)) {
            Accumulate(steps: 4)
            Unscale(.dynamic())
            Centralize()
            ClipByGlobalNorm(1)
        } driving: {
            AdamW(learningRate: .warmupCosine(peak: 3e-4, warmup: 100, total: 2_000), groups: [.vectorsWithoutDecay])
        }
        let page = try Markdown("\(Documentation.catalog)/Pipelines.md")
        let isShown = page.blocks.contains { $0.text == pipeline.explain() + "\n" }
        #expect(isShown, "no block of Pipelines.md is\n\(pipeline.explain())")
    }

    @Test func `the drawing of modules and the table below it say what the manifest says`() throws {
        let manifest = try Manifest()
        let modules = manifest.closure(of: ["Descent", "DescentTestKit"])
        let page = try Markdown("\(Documentation.catalog)/Architecture.md")
        let drawing = try #require(page.blocks.first { $0.mark == "text" }).text
        var layers: [String: Int] = [:]
        for (layer, line) in drawing.split(separator: "\n").enumerated() {
            for name in line.matches(of: /[A-Z]\w+/) {
                #expect(layers.updateValue(layer, forKey: String(name.0)) == nil, "\(name.0) is drawn twice")
            }
        }
        #expect(layers.keys.sorted() == modules)
        let rows = Dictionary(
            page.table("module").map { ($0[0].replacing("`", with: ""), $0[1].replacing("`", with: "")) },
            uniquingKeysWith: { first, _ in first })
        #expect(rows.keys.sorted() == modules)
        for target in manifest.targets where modules.contains(target.name) {
            #expect(rows[target.name] == target.dependencies.sorted().joined(separator: ", "), "\(target.name)")
            for dependency in target.dependencies {
                let isBelow = (layers[dependency] ?? 0) > (layers[target.name] ?? 0)
                #expect(isBelow, "\(dependency) is not drawn below \(target.name)")
            }
        }
    }

    @Test func `the order of the core's folders is the one that they keep to`() throws {
        let line = try #require(
            try Markdown("\(Documentation.catalog)/Architecture.md").prose.first { $0.hasPrefix("`Numerics`, ") })
        #expect(line.matches(of: /`(\w+)`/).map { String($0.1) } == CoreFoldersTests.order)
    }

    @Test func `the files that the story of a step names exist`() throws {
        let page = try Markdown("\(Documentation.catalog)/Architecture.md")
        let named = page.prose.flatMap { $0.matches(of: /`([\w+\/]+\.(swift|inc))`/).map { "/" + $0.1 } }
        #expect(named.count > 10)
        let sources = Markdown.repository.appendingPathComponent("Sources")
        let files = FileManager.default.enumerator(atPath: sources.path)?.compactMap { $0 as? String } ?? []
        for file in named { #expect(files.contains { ("/" + $0).hasSuffix(file) }, "there is no \(file)") }
    }
}
