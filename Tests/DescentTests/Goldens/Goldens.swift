import Descent
import DescentJSON
import Foundation
import TestSupport
import Testing

/// Trajectories that PyTorch and Optax computed.
@Suite struct Goldens {
    /// The folder named by `DESCENT_GOLDENS`, or the fixtures.
    static let folder: URL =
        ProcessInfo.processInfo.environment["DESCENT_GOLDENS"].map { URL(fileURLWithPath: $0, isDirectory: true) }
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
        let golden: GoldenCase = try JSON(parsing: Array(data)).decode()
        try #require((1...2).contains(golden.schema))
        try replay(golden)
    }

    @Test(arguments: [
        #""pipeline": [{"stage": "levitate"}], "optimizer": {"kind": "sgd", "learningRate": 1}"#,
        #""pipeline": [{"stage": "centralize", "axis": 1}], "optimizer": {"kind": "sgd", "learningRate": 1}"#,
        #""optimizer": {"kind": "hope"}"#, #""optimizer": {"kind": "adamW", "hope": 1}"#,
        #""optimizer": {"kind": "sgd", "learningRate": 1, "schedule": {"kind": "sideways"}}"#,
        #""optimizer": {"kind": "adamW"}, "after": [{"stage": "levitate"}]"#,
        #""optimizer": {"kind": "adamW"}, "partition": [{"prefix": "a.", "optimizer": {"kind": "hope"}}]"#,
    ]) func `a case that names something unknown fails`(_ settings: String) throws {
        let pipeline = settings.contains("\"pipeline\"") ? "" : #""pipeline": [], "#
        let text = """
            {"schema": 2, "name": "unknown", "parameters": [], \(pipeline)\(settings), "microbatches": [],
            "expected": [], "tolerance": {"relative": 0, "absolute": 0}}
            """
        let golden: GoldenCase = try JSON(parsing: text).decode()
        #expect(throws: DescentError.self) { try golden.makeDescription() }
    }

    private func replay(_ golden: GoldenCase) throws {
        let layout = try golden.makeLayout()
        var parameters = TensorSet(zeros: layout)
        for parameter in golden.parameters { parameters[parameter.name] = parameter.values.map { Float($0.value) } }
        var pipeline = try Pipeline(for: parameters, golden.makeDescription())
        try #require(golden.microbatches.count == golden.expected.count)
        for (index, (microbatch, expected)) in zip(golden.microbatches, golden.expected).enumerated() {
            var gradients = TensorSet(zeros: layout)
            for (parameter, values) in zip(layout, microbatch.gradients) {
                gradients[parameter.name] = values.map { Float($0.value) }
            }
            let outcome = try pipeline.step(
                &parameters, gradients: gradients, weight: microbatch.weight ?? 1,
                closingWindow: microbatch.flush ?? false)
            #expect(kind(outcome) == expected.outcome, "micro-batch \(index)")
            if let scale = expected.lossScaleAfter { #expect(Double(pipeline.lossScale) == scale.value) }
            if let norm = expected.globalNormBeforeClip, case .applied(let report) = outcome {
                let taken = report.norms.first { $0.stage.hasPrefix("ClipByGlobalNorm") }
                let difference = abs(Double(taken?.before ?? .nan) - norm.value)
                #expect(difference <= 1e-5 * norm.value, "norm in micro-batch \(index)")
            }
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
        _ values: [Float], _ expected: [GoldenCase.Number], _ tolerance: GoldenCase.Tolerance, _ place: String
    ) {
        #expect(values.count == expected.count)
        for (index, (value, expected)) in zip(values, expected.map(\.value)).enumerated() {
            let isClose =
                expected.isFinite
                ? abs(Double(value) - expected) <= tolerance.absolute + tolerance.relative * abs(expected)
                : Double(value) == expected || (value.isNaN && expected.isNaN)
            #expect(isClose, "element \(index) of \(place): \(value), expected \(expected)")
        }
    }
}
