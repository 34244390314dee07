import Foundation
import Testing

/// What the tutorials show: every file compiles, tests pass, and programs print what is shown.
@Suite struct TutorialTests {
    static let sources = Tutorial.all.flatMap(\.steps).filter { $0.isSource && !$0.isTest }
    static let tests = Tutorial.all.flatMap(\.steps).filter(\.isTest)

    @Test func `every file of a tutorial is shown, and each tutorial shows what its last program prints`() throws {
        let folder = Tutorial.folder.appendingPathComponent("Code")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(files.sorted() == Tutorial.all.flatMap(\.steps).map(\.file).sorted())
        #expect(Tutorial.all.count == 2)
        for tutorial in Tutorial.all {
            let last = try #require(tutorial.steps.last { $0.isProgram })
            #expect(tutorial.outputs.contains { $0.program.file == last.file }, "\(tutorial.name)")
        }
    }

    @Test(arguments: sources) func `a step's file compiles without warnings`(_ step: Tutorial.Step) throws {
        if let complaints = try SwiftCompiler().complaints(about: step.program) {
            Issue.record("\(step.file): \(complaints)")
        }
    }

    @Test func `a manifest names products that there are`() throws {
        let manifests = Tutorial.all.flatMap(\.steps).filter(\.isManifest)
        #expect(!manifests.isEmpty)
        let package = Markdown.repository.appendingPathComponent("Package.swift")
        let products = try String(contentsOf: package, encoding: .utf8)
        for manifest in manifests {
            let names = manifest.text.matches(of: /\.product\(name: "(\w+)", package: "swift-descent"\)/).map(\.1)
            #expect(!names.isEmpty)
            for name in names { #expect(products.contains(".library(name: \"\(name)\""), "\(manifest.file): \(name)") }
            if let complaints = try SwiftCompiler.complaints(aboutManifest: manifest.text) {
                Issue.record("\(manifest.file): \(complaints)")
            }
        }
    }

    @Test(arguments: tests) func `a step's test passes`(_ step: Tutorial.Step) throws {
        let result = try SwiftCompiler().runTests(step.program, named: "TutorialStepTests.swift")
        if result.status != 0 { Issue.record("\(step.file): \(result.output)") }
        #expect(result.output.contains(/Test run with \d+ tests in 1 suite passed/))
    }

    // The network of the digits takes exponentials of the system's library, whose last bit may be another elsewhere.
    #if os(Linux)
        @Test(arguments: Tutorial.all) func `a program prints what is shown`(_ tutorial: Tutorial) throws {
            for (program, output) in tutorial.outputs {
                let modules = try Manifest().closure(of: ["Descent", "DigitsModel"])
                let result = try SwiftCompiler().run(program.program, with: modules)
                if result.status != 0 || result.output != output.text {
                    Issue.record("\(program.file) ends with \(result.status) and prints\n\(result.output)")
                }
            }
        }
    #endif
}
