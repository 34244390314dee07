import Foundation
import TestSupport
import Testing

/// How this package's programs answer to their command lines.
@Suite struct ProgramTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// What a program has said, and how it ended.
    private struct Answer {
        let end: ChildProcess.End
        let output: String
        let error: String
    }

    private func answer(_ program: String, _ arguments: [String]) throws -> Answer {
        let process = try ChildProcess(
            program, arguments, beside: .module, output: (standard: folder["output"], error: folder["error"]))
        let end = process.end()
        return Answer(
            end: end, output: String(decoding: try folder.read("output"), as: UTF8.self),
            error: String(decoding: try folder.read("error"), as: UTF8.self))
    }

    @Test(arguments: ["adding", "descent-bench", "digits", "endurance", "language-model", "replay"])
    func `every program says how it is called, and refuses an option that it does not have`(_ program: String) throws {
        for arguments in [["--help"], ["-h"], ["--frobnicate", "--help"]] {
            let help = try answer(program, arguments)
            #expect(help.end == .exit(0))
            #expect(help.output.hasPrefix("usage: \(program)"))
            #expect(help.error.isEmpty)
            #expect(!help.output.contains("\u{1b}"), "escape codes without a terminal")
            for line in help.output.split(separator: "\n") { #expect(line.count <= 120) }
        }
        let refusal = try answer(program, ["--frobnicate"])
        #expect(refusal.end == .exit(2))
        #expect(refusal.output.isEmpty)
        #expect(refusal.error.hasPrefix("\(program): "))
        #expect(refusal.error.contains("\"--frobnicate\""))
        #expect(refusal.error.contains("there are"))
        #expect(refusal.error.hasSuffix("\(program) --help says more.\n"))
    }

    @Test(arguments: [
        ("adding", ["a.svg", "b.svg"], "\"b.svg\" is one argument too many"),
        ("adding", ["/nonexistent/a.svg"], "nothing can be written into /nonexistent"),
        ("descent-bench", ["mlq"], "there is no workload \"mlq\"; there are gpt2-small,"),
        ("descent-bench", ["--chain", "fulll"], "there is no chain \"fulll\"; there are full,"),
        ("descent-bench", ["--threads", "0"], "--threads is \"0\"; it has to be a whole number from 1"),
        ("descent-bench", ["--seconds"], "--seconds needs a value"),
        ("descent-bench", ["--plot", "/nonexistent/a.svg"], "nothing can be written into /nonexistent"),
        ("digits", ["all"], "\"all\" is one argument too many; options are --moments, --help"),
        ("endurance", [], "train or soak is needed"),
        ("endurance", ["soak", "many"], "steps is \"many\"; it has to be a whole number from 10"),
        ("language-model", ["--steps", "0"], "--steps is \"0\"; it has to be a whole number from 1"),
        ("language-model", ["--resume", "a", "--steps", "9"], "give neither --steps nor --checkpoint"),
        ("language-model", ["--checkpoint", "/nonexistent/a"], "nothing can be written into /nonexistent"),
        ("replay", [], "a folder is needed"),
        ("replay", ["a", "b"], "\"b\" is one argument too many"),
    ])
    func `a command line that makes no sense ends with status 2, and what would`(
        _ program: String, _ arguments: [String], _ message: String
    ) throws {
        let answer = try answer(program, arguments)
        #expect(answer.end == .exit(2))
        #expect(answer.error.contains(message), "\(answer.error)")
        #expect(answer.output.isEmpty)
    }

    @Test(arguments: [
        ("replay", ["/nonexistent"], "/nonexistent"),
        ("language-model", ["--text", "/nonexistent"], "/nonexistent cannot be read as UTF-8"),
        ("language-model", ["--resume", "/tmp/nonexistent"], "\"/tmp/nonexistent\""),
    ])
    func `what cannot be done ends with status 1, and the reason`(
        _ program: String, _ arguments: [String], _ message: String
    ) throws {
        let answer = try answer(program, arguments)
        #expect(answer.end == .exit(1))
        #expect(answer.error.contains(message), "\(answer.error)")
    }
}
