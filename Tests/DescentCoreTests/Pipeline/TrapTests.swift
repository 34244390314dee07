import Descent
import TestSupport
import Testing

/// Calls that used to stop the program, and are now refused by name or answered.
@Suite struct TrapTests {
    private let layout: ParameterLayout

    init() throws { layout = try makeLayout([[4, 3], [4]]) }

    @Test(arguments: [99, 2, -1, .max, .min])
    func `a gradient received for a parameter that does not exist is refused, and nothing has begun`(
        _ position: Int
    ) throws {
        var parameters = TensorSet.random(layout, seed: 1)
        var pipeline = try Pipeline(for: parameters) {
            Accumulate(steps: 2)
        } driving: {
            AdamW()
        }
        var undisturbed = pipeline
        var expected = parameters
        let gradients = TensorSet.random(layout, seed: 2)
        let error = #expect(throws: DescentError.self) { try pipeline.receive(gradients, of: position) }
        #expect(error?.code == .unexpectedParameter)
        #expect(error?.message == "There is no parameter at position \(position); the layout has 2, counted from 0.")
        for _ in 0..<2 {
            let outcome = try pipeline.step(&parameters, gradients: gradients)
            #expect(try outcome.details == undisturbed.step(&expected, gradients: gradients).details)
        }
        #expect(pipeline.appliedSteps == 1)
        #expect(parameters.bits == expected.bits)
    }

    @Test(arguments: [[1 << 61], [1 << 60], [1 << 30, 1 << 31], [0, 1 << 61], [1 << 61, 0], [1 << 62, 4, 0]])
    func `a shape whose bytes cannot be counted is refused`(_ shape: [Int]) {
        let error = #expect(throws: DescentError.self) {
            try TensorSet([ParameterDescription("w", shape: shape)])
        }
        #expect(error?.code == .invalidShape)
        #expect(error?.parameter == "w")
    }

    @Test func `so are shapes that cannot be counted together`() throws {
        let half = try ParameterDescription("first", shape: [ParameterDescription.maximumElementCount])
        let error = #expect(throws: DescentError.self) {
            try ParameterLayout([half, ParameterDescription("second", shape: [1])])
        }
        #expect(error?.code == .invalidShape)
        #expect(error?.parameter == "second")
    }

    @Test(arguments: [10_000_000_000, 1_000_001, 0, -1, .max])
    func `a warm-up that memory cannot hold is refused, in Swift and in JSON`(_ warmup: Int) throws {
        let parameters = TensorSet(zeros: layout)
        let text = #"{"stages": [{"stage": "ClipByZScore", "warmup": \#(warmup)}], "optimizer": "AdamW"}"#
        for build in [
            {
                _ = try Pipeline(for: parameters) {
                    ClipByZScore(warmup: warmup)
                } driving: {
                    AdamW()
                }
            },
            { _ = try Pipeline(for: parameters, PipelineDescription(parsing: text)) },
        ] {
            let error = #expect(throws: DescentError.self) { try build() }
            #expect(error?.message.contains("warmup is \(warmup); it has to lie in 1...1000000.") == true)
        }
    }

    @Test func `a histogram counts below any exponent`() {
        var histogram = MagnitudeHistogram()
        for value: Float in [0, .leastNonzeroMagnitude, 0.25, 1, 3e38, .infinity, .nan] { histogram.add(value) }
        let finite = 4
        for exponent in [Int.max, 1_000, 128] { #expect(histogram.count(belowExponent: exponent) == finite) }
        #expect(histogram.count(belowExponent: 127) == finite - 1)
        #expect(histogram.count(belowExponent: 0) == 2)
        #expect(histogram.count(belowExponent: -126) == 1)
        for exponent in [-127, -1_000, Int.min] { #expect(histogram.count(belowExponent: exponent) == 0) }
    }

    @Test func `a gradient under another name is answered with the one that may be meant`() throws {
        var parameters = TensorSet.random(layout, seed: 1)
        var pipeline = try Pipeline(for: parameters) {
        } driving: {
            AdamW()
        }
        let gradients = try TensorSet([
            ParameterDescription("layer0.weight", shape: [4, 3]), ParameterDescription("layer0.bais", shape: [4]),
        ])
        let error = #expect(throws: DescentError.self) { try pipeline.step(&parameters, gradients: gradients) }
        #expect(
            error?.message
                == "The gradients have no tensor named \"layer0.bias\" (shape [4]); they have \"layer0.bais\".")
    }
}
