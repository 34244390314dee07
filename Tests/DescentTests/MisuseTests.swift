import Descent
import Foundation
import TestSupport
import Testing

/// Ways to misuse a pipeline; `Misuse.md` lists them all, with the tests.
@Suite struct MisuseTests {
    private let layout: ParameterLayout

    init() throws { layout = try makeLayout([[4, 3], [4]]) }

    @Test func `every misuse in the documentation names a test that exists`() throws {
        let sources = Markdown.repository.appendingPathComponent("Sources")
        let codes = try String(
            contentsOf: sources.appendingPathComponent("DescentErrors/DescentError.swift"), encoding: .utf8)
        let article = sources.appendingPathComponent("Descent/Descent.docc/Misuse.md")
        let rows = try String(contentsOf: article, encoding: .utf8).split(separator: "\n")
            .filter { $0.hasPrefix("| ") }.dropFirst(2)
        #expect(rows.count > 20)
        for row in rows {
            let cells = row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            let reference = try #require(cells.last?.wholeMatch(of: /`(\w+)`: `([^`]+)`/), "\(row)")
            let suite = Documentation.testFile(named: reference.1)
            #expect(suite.contains("func `\(reference.2)`("), "\(reference.1) has no test named \(reference.2)")
            for code in cells[2].matches(of: /`(\w+)`/) {
                #expect(codes.contains("Code(\"\(code.1)\")"), "\(row)")
            }
        }
    }

    @Test(arguments: [
        "let task = Task { _ = try pipeline.step(&parameters, gradients: gradients) }\n_ = try pipeline.step(&parameters, gradients: gradients)\ntry await task.value",
        "DispatchQueue.concurrentPerform(iterations: 2) { _ in _ = try? pipeline.step(&parameters, gradients: gradients) }",
        "async let first = pipeline.step(&parameters, gradients: gradients)\n_ = pipeline.lossScale\nprint(try await first)",
    ]) func `concurrent calls on one pipeline do not compile`(_ misuse: String) throws {
        func program(_ body: String) -> String {
            """
            import Descent
            import Dispatch

            func train(_ initial: TensorSet, _ gradients: TensorSet) async throws {
                var parameters = initial
                var pipeline = try Pipeline(for: parameters) {} driving: { SGD(learningRate: 1) }
                \(body)
            }
            """
        }
        let compiler = try SwiftCompiler()
        #expect(
            try compiler.complaints(about: program("_ = try pipeline.step(&parameters, gradients: gradients)")) == nil)
        let complaints = try #require(try compiler.complaints(about: program(misuse)))
        let isAboutConcurrency = complaints.contains(/concurrently-executing code|risks causing data races/)
        #expect(isAboutConcurrency, "\(complaints)")
    }

    @Test func `gradients that share memory with parameters are refused, and so are tied parameters`() throws {
        var pipeline = try Pipeline(for: TensorSet(zeros: layout)) {
        } driving: {
            SGD(learningRate: 1)
        }
        var chain = try Chain(for: layout) { Centralize() }
        let names = ["first", "second"]
        let even = try ParameterLayout(names.map { try ParameterDescription($0, shape: [4]) })
        var evenPipeline = try Pipeline(for: TensorSet(zeros: even)) {
        } driving: {
            SGD(learningRate: 1)
        }
        var memory = [Float](repeating: 1, count: 64)
        memory.withUnsafeMutableBufferPointer { memory in
            func same(_ starts: Int...) -> [UnsafeTensor] {
                zip(names, starts).map {
                    UnsafeTensor($0, UnsafeMutableBufferPointer(rebasing: memory[$1..<$1 + 4]))
                }
            }
            func tensors(_ weight: Int, _ bias: Int) -> [UnsafeTensor] {
                [
                    UnsafeTensor(layout[0].name, UnsafeMutableBufferPointer(rebasing: memory[weight..<weight + 12])),
                    UnsafeTensor(layout[1].name, UnsafeMutableBufferPointer(rebasing: memory[bias..<bias + 4])),
                ]
            }
            let aliased = thrownError {
                _ = try pipeline.step(unsafeParameters: tensors(0, 12), unsafeGradients: tensors(20, 15))
            }
            #expect(aliased?.code == .sharedMemory)
            #expect(
                aliased?.message == """
                    The gradient of "\(layout[1].name)" shares memory with the memory that is written of \
                    "\(layout[1].name)": a step would read what it has just changed. Hand over tensors that are apart; if \
                    they are one parameter with two names, declare them tied (ParameterLayout.tying).
                    """)
            let tied = thrownError {
                _ = try pipeline.step(unsafeParameters: tensors(0, 3), unsafeGradients: tensors(20, 32))
            }
            #expect(tied?.code == .sharedMemory)
            let twice = thrownError {
                _ = try evenPipeline.step(unsafeParameters: same(8, 8), unsafeGradients: same(20, 32))
            }
            #expect(
                twice?.message == """
                    "second" and "first" are one memory, which a step would change twice. If they are one parameter with \
                    two names, build the pipeline with `layout.tying(["second": "first"])`; if not, hand over tensors \
                    that are apart.
                    """)
            #expect(twice?.code == .sharedMemory && twice?.parameter == "second")
            #expect(thrownError { _ = try chain.transform(unsafeGradients: tensors(0, 8)) }?.code == .sharedMemory)
            #expect(memory.allSatisfy { $0 == 1 })
            // Gradients are only read, and may be one for all; neighbours are apart.
            #expect(
                thrownError { _ = try pipeline.step(unsafeParameters: tensors(4, 0), unsafeGradients: tensors(16, 16)) }
                    == nil)
        }
    }

    @Test func `a set of tensors handed over as its own gradients is read before it is changed`() throws {
        var pipeline = try Pipeline(for: TensorSet(zeros: layout)) {
        } driving: {
            SGD(learningRate: 0.5)
        }
        var parameters = TensorSet.random(layout, seed: 1)
        let expected = parameters.arrays.joined().map { $0 - 0.5 * $0 }
        let gradients = parameters
        _ = try pipeline.step(&parameters, gradients: gradients)
        #expect(Array(parameters.arrays.joined()) == expected)
    }

    @Test func `shapes that change between steps are refused by name, and the pipeline goes on`() throws {
        var parameters = TensorSet.random(layout, seed: 1)
        var pipeline = try Pipeline(for: parameters) {
            Accumulate(steps: 2)
        } driving: {
            AdamW()
        }
        _ = try pipeline.step(&parameters, gradients: .random(layout, seed: 2))
        var undisturbed = pipeline
        var expected = parameters
        let other = TensorSet(zeros: try makeLayout([[4, 5], [4]]))
        let error = #expect(throws: DescentError.self) { try pipeline.step(&parameters, gradients: other) }
        #expect(error?.code == .shapeMismatch)
        #expect(error?.parameter == layout[0].name)
        _ = try pipeline.step(&parameters, gradients: .random(layout, seed: 3))
        _ = try undisturbed.step(&expected, gradients: .random(layout, seed: 3))
        #expect(parameters.bits == expected.bits)
    }

    @Test func `a step before the window's first micro-batch does nothing`() throws {
        var parameters = TensorSet.random(layout, seed: 1)
        let bits = parameters.bits
        var pipeline = try Pipeline(for: parameters) {
            Accumulate(steps: 2)
        } driving: {
            AdamW()
        }
        #expect(try pipeline.flush(&parameters) == nil)
        let error = #expect(throws: DescentError.self) { try pipeline.step(&parameters) }
        #expect(error?.code == .missingParameter)
        #expect(parameters.bits == bits)
        #expect(pipeline.appliedSteps + pipeline.skippedSteps == 0)
    }
}
