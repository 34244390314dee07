import Descent
import DescentMuon
import Foundation
import Testing

/// Trajectories that Optax computed.
@Suite struct Goldens {
    /// The folder named by `DESCENT_MUON_GOLDENS`, or the fixtures.
    static let folder: URL =
        ProcessInfo.processInfo.environment["DESCENT_MUON_GOLDENS"].map { URL(fileURLWithPath: $0, isDirectory: true) }
        ?? Bundle.module.resourceURL?.appendingPathComponent("Fixtures/Goldens", isDirectory: true)
        ?? URL(fileURLWithPath: "Fixtures/Goldens", isDirectory: true)

    static let files: [String] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.filter { $0.hasSuffix(".json") }.sorted()
    }()

    @Test func `the folder holds cases`() {
        #expect(!Goldens.files.isEmpty, "no *.json in \(Goldens.folder.path)")
    }

    @Test(arguments: files) func `a pipeline reproduces the trajectory`(_ file: String) throws {
        let data = try Data(contentsOf: Goldens.folder.appendingPathComponent(file))
        let golden = try GoldenCase(data)
        try #require(golden.schema == 2)
        try replay(golden, GoldenDocument(data).makeDescription())
    }

    @Test(arguments: [
        #""optimizer": {"kind": "shampoo", "learningRate": 1}"#, #""optimizer": {"learningRate": 1}"#,
        #""optimizer": {"kind": "muon", "learningRate": 1, "rotation": 3}"#,
        #""optimizer": {"kind": "muon", "learningRate": 1, "others": {"kind": "hope", "learningRate": 1}}"#,
        #""optimizer": {"kind": "muon", "learningRate": 1}, "pipeline": [{"stage": "levitate"}]"#,
    ]) func `a case that names something unknown fails`(_ content: String) throws {
        #expect(throws: (any Error).self) { try GoldenDocument(Data("{\(content)}".utf8)).makeDescription() }
    }

    private func replay(_ golden: GoldenCase, _ description: PipelineDescription) throws {
        let layout = try golden.makeLayout()
        var parameters = TensorSet(zeros: layout)
        for parameter in golden.parameters { parameters[parameter.name] = parameter.values.map { Float($0) } }
        var pipeline = try Pipeline(for: parameters, description)
        try #require(golden.microbatches.count == golden.expected.count)
        for (index, (microbatch, expected)) in zip(golden.microbatches, golden.expected).enumerated() {
            var gradients = TensorSet(zeros: layout)
            for (parameter, values) in zip(layout, microbatch.gradients) {
                gradients[parameter.name] = values.map { Float($0) }
            }
            let outcome = try pipeline.step(
                &parameters, gradients: gradients, weight: microbatch.weight ?? 1,
                closingWindow: microbatch.flush ?? false)
            #expect(kind(outcome) == expected.outcome, "micro-batch \(index)")
            if let scale = expected.lossScaleAfter { #expect(Double(pipeline.lossScale) == scale) }
            for (parameter, values) in zip(layout, expected.parameters ?? []) {
                compare(parameters[parameter.name], values, golden.tolerance, "\(parameter.name), micro-batch \(index)")
            }
        }
    }

    private func kind(_ outcome: StepOutcome) -> String {
        switch outcome {
        case .accumulated: "accumulated"
        case .applied: "applied"
        case .skipped: "skipped"
        case .diverged: "diverged"
        }
    }

    private func compare(
        _ values: [Float], _ expected: [Double], _ tolerance: GoldenCase.Tolerance, _ place: String
    ) {
        #expect(values.count == expected.count)
        for (index, (value, expected)) in zip(values, expected).enumerated() {
            let isClose =
                expected.isFinite
                ? abs(Double(value) - expected) <= tolerance.absolute + tolerance.relative * abs(expected)
                : Double(value) == expected || (value.isNaN && expected.isNaN)
            #expect(isClose, "element \(index) of \(place): \(value), expected \(expected)")
        }
    }
}
