import Descent
import DescentCore
import TestSupport
import Testing

/// A copy of a pipeline is independent, whenever it is made.
@Suite struct CopyTests {
    let layout: ParameterLayout
    let backend = SIMDBackend(threads: 1, blockLength: 4)

    init() throws {
        layout = try ParameterLayout([
            ParameterDescription("a", shape: [2, 3]), ParameterDescription("b", shape: [6]),
            ParameterDescription("c", shape: [2]),
        ])
    }

    private func filled(_ value: Float) -> TensorSet {
        var tensors = TensorSet(zeros: layout)
        for parameter in layout { tensors[parameter.name] = [Float](repeating: value, count: parameter.count) }
        return tensors
    }

    private func makePipeline(_ parameters: TensorSet) throws -> Pipeline {
        try Pipeline(for: parameters, on: backend) {
            Centralize()
            ClipByGlobalNorm(100)
        } driving: {
            SGD(learningRate: 0.1, momentum: 0.5)
        }
    }

    @Test(arguments: 0...3) func `a copy made while gradients arrive loses nothing that was measured`(_ moment: Int)
        throws
    {
        var (parameters, others) = (filled(1), filled(1))
        let start = parameters
        let gradients = TensorSet.random(layout, seed: 5)
        var whole = try makePipeline(start)
        var expected = start
        let outcome = try whole.step(&expected, gradients: gradients)
        var pipeline = try makePipeline(start)
        pipeline.requestHistograms()
        whole.requestHistograms()
        for index in 0..<moment { try pipeline.receive(gradients, of: index) }
        var copy = pipeline
        for index in moment..<3 { try pipeline.receive(gradients, of: index) }
        let first = try pipeline.step(&parameters)
        for index in (moment..<3).reversed() { try copy.receive(gradients, of: index) }
        let second = try copy.step(&others)
        #expect(first.report?.gradientNorm == outcome.report?.gradientNorm)
        #expect(second.report?.gradientNorm == outcome.report?.gradientNorm)
        #expect(parameters.bits == expected.bits)
        #expect(others.bits == expected.bits)
        #expect(pipeline.histograms.map(\.count) == layout.map(\.count))
        #expect(copy.histograms.map(\.count) == layout.map(\.count))
    }

    @Test(arguments: 0...3) func `a copy made while gradients arrive has seen the NaN among them`(_ moment: Int) throws
    {
        var (parameters, others) = (filled(1), filled(1))
        var gradients = TensorSet.random(layout, seed: 5)
        gradients["a"][4] = .nan
        var pipeline = try makePipeline(parameters)
        for index in 0..<moment { try pipeline.receive(gradients, of: index) }
        var copy = pipeline
        for index in moment..<3 { try pipeline.receive(gradients, of: index) }
        for index in moment..<3 { try copy.receive(gradients, of: index) }
        #expect(try pipeline.step(&parameters).skipReason?.parameter == "a")
        #expect(try copy.step(&others).skipReason?.parameter == "a")
        #expect(parameters.bits == filled(1).bits)
    }

    @Test func `a step after the last gradient leaves an untouched copy as it is`() throws {
        var parameters = filled(1)
        var pipeline = try makePipeline(parameters)
        _ = try pipeline.step(&parameters, gradients: filled(1))
        for index in 0..<3 { try pipeline.receive(filled(1), of: index) }
        let copy = pipeline
        let before = try #require(copy.slot(named: "SGD.velocity"))
        let bits = before.bits
        _ = try pipeline.step(&parameters)
        #expect(try #require(copy.slot(named: "SGD.velocity")).bits == bits)
        #expect(try #require(pipeline.slot(named: "SGD.velocity")).bits != bits)
    }

    @Test func `taking a pipeline out of a dictionary and putting it back changes nothing`() throws {
        var (parameters, others) = (filled(1), filled(1))
        let gradients = TensorSet.random(layout, seed: 8)
        var alone = try makePipeline(parameters)
        for index in 0..<3 { try alone.receive(gradients, of: index) }
        _ = try alone.step(&parameters)
        var pipelines = ["x": try makePipeline(others)]
        for index in 0..<3 {
            var taken = try #require(pipelines["x"])
            try taken.receive(gradients, of: index)
            pipelines["x"] = taken
        }
        var taken = try #require(pipelines["x"])
        _ = try taken.step(&others)
        #expect(parameters.bits == others.bits)
    }
}
