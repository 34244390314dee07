import Descent
import DescentCore
import Testing

/// What stages tell of, and to whom restrictions extend.
@Suite struct FrozenReportTests {
    /// Undoes a loss scale of its own without saying so by a protocol.
    struct Halve: GradientScaling {
        var lossScale: Float { 2 }
        mutating func prepare(_ step: inout StepPreparation) { step.scale(by: 0.5) }
    }

    private func makeParameters() throws -> TensorSet {
        try TensorSet([
            ParameterDescription("fc1.weight", shape: [2, 2]), ParameterDescription("fc1.bias", shape: [2]),
            ParameterDescription("fc2.weight", shape: [2, 2]), ParameterDescription("fc2.bias", shape: [2]),
        ])
    }

    @Test func `frozen parameters are in no report and do not dilute the clipped share`() throws {
        var parameters = try makeParameters()
        var gradients = parameters
        for parameter in gradients.layout {
            gradients[parameter.name] = [Float](repeating: 3, count: parameter.count)
        }
        var pipeline = try Pipeline(for: parameters, configuration: .init(reporting: .layerNorms)) {
            Freeze(prefix: "fc1.")
            ClipByNorm(1)
            ClipLayerwise(default: 0.5)
        } driving: {
            SGD(learningRate: 0.1)
        }
        let report = try #require(try pipeline.step(&parameters, gradients: gradients).report)
        #expect(report.norms.map(\.group) == ["fc2.weight", "fc2.bias", "fc2"])
        #expect(report.clippedFraction == 1)
        #expect(report.layerNorms.map(\.layer) == ["fc2"])
    }

    @Test func `a stage that undoes a loss scale cannot be restricted, whatever it conforms to`() throws {
        let error = #expect(throws: DescentError.self) {
            _ = try Chain(for: try makeParameters().layout) { Halve().only(prefix: "fc1.") }
        }
        #expect(error?.code == .invalidSetting)
    }
}
