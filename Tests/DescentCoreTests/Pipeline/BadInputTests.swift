import Descent
import TestSupport
import Testing

/// What a caller can hand over that is wrong, and what comes of it.
@Suite struct BadInputTests {
    let layout: ParameterLayout
    let parameters: TensorSet

    init() throws {
        layout = try ParameterLayout([
            ParameterDescription("fc.weight", shape: [3, 4]), ParameterDescription("fc.bias", shape: [3]),
        ])
        parameters = .random(layout, seed: 1)
    }

    private func makePipeline() throws -> Pipeline {
        try Pipeline(for: parameters) {
            ClipByGlobalNorm(1)
        } driving: {
            AdamW()
        }
    }

    static let wrongShapes: [(DescentError.Code, String, [(String, [Int])])] = [
        (.missingParameter, "fc.bias", [("fc.weight", [3, 4])]),
        (.unexpectedParameter, "extra", [("fc.weight", [3, 4]), ("fc.bias", [3]), ("extra", [1])]),
        (.shapeMismatch, "fc.weight", [("fc.weight", [4, 3]), ("fc.bias", [3])]),
        (.orderMismatch, "fc.bias", [("fc.bias", [3]), ("fc.weight", [3, 4])]),
    ]

    @Test(arguments: wrongShapes.indices) func `a wrong set of gradients is refused by name and changes nothing`(
        _ index: Int
    ) throws {
        let (code, name, shapes) = Self.wrongShapes[index]
        let gradients = TensorSet.random(
            try ParameterLayout(shapes.map { try ParameterDescription($0.0, shape: $0.1) }), seed: 2)
        var pipeline = try makePipeline()
        var updated = parameters
        let error = #expect(throws: DescentError.self) { try pipeline.step(&updated, gradients: gradients) }
        #expect(error?.code == code)
        #expect(error?.parameter == name)
        #expect(error?.message.contains(name) == true)
        #expect(updated.bits == parameters.bits)
        #expect(pipeline.appliedSteps == 0)
    }

    @Test func `a wrong list of external buffers is refused by name and changes nothing`() throws {
        var pipeline = try makePipeline()
        var (weights, biases) = ([Float](repeating: 1, count: 12), [Float](repeating: 1, count: 12))
        let cases: [(DescentError.Code, [(String, Int)])] = [
            (.duplicateParameter, [("fc.weight", 12), ("fc.weight", 12)]), (.missingParameter, [("fc.weight", 12)]),
            (.unexpectedParameter, [("fc.weight", 12), ("other", 3)]),
            (.shapeMismatch, [("fc.weight", 12), ("fc.bias", 4)]),
        ]
        for (code, sizes) in cases {
            let error = #expect(throws: DescentError.self) {
                try weights.withUnsafeMutableBufferPointer { first in
                    try biases.withUnsafeMutableBufferPointer { second in
                        let buffers = [first, second]
                        let tensors = sizes.enumerated().map { index, entry in
                            UnsafeTensor(entry.0, UnsafeMutableBufferPointer(rebasing: buffers[index][..<entry.1]))
                        }
                        _ = try pipeline.step(unsafeParameters: tensors, unsafeGradients: tensors)
                    }
                }
            }
            #expect(error?.code == code)
        }
        #expect((weights + biases).allSatisfy { $0 == 1 })
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity])
    func `a gradient that is not finite is skipped, named, and changes no bit of the future`(_ value: Float) throws {
        for stages: [any Stage] in [
            [], [ClipByGlobalNorm(1)], [Centralize()], [Centralize(), ClipByNorm(1)], [ClipByValue(1)],
            [Unscale(.static(4))], [Accumulate(steps: 1), Centralize(), ClipByGlobalNorm(1, norm: .l1)],
        ] {
            var pipeline = try Pipeline(for: parameters) {
                stages
            } driving: {
                AdamW(amsgrad: true)
            }
            var updated = parameters
            _ = try pipeline.step(&updated, gradients: .random(layout, seed: 3))
            var (undisturbed, expected) = (pipeline, updated)
            var gradients = TensorSet.random(layout, seed: 4)
            gradients["fc.bias"][1] = value
            guard case .skipped(let reason) = try pipeline.step(&updated, gradients: gradients) else {
                Issue.record("applied with \(stages)")
                continue
            }
            #expect(reason.code == .nonFinite)
            #expect(reason.parameter == "fc.bias")
            #expect(reason.description.contains(value.isNaN ? "1 NaN and 0 infinite" : "0 NaN and 1 infinite"))
            #expect(updated.bits == expected.bits)
            #expect(pipeline.skippedSteps == 1)
            for seed in 5..<8 {
                _ = try pipeline.step(&updated, gradients: .random(layout, seed: UInt64(seed)))
                _ = try undisturbed.step(&expected, gradients: .random(layout, seed: UInt64(seed)))
            }
            #expect(updated.bits == expected.bits)
        }
    }

    @Test func `more skipped steps in a row than allowed throw, and an applied step starts the count anew`() throws {
        var pipeline = try Pipeline(for: parameters, configuration: .init(nonFinite: .skipAtMost(2))) {
        } driving: {
            AdamW()
        }
        var (updated, spoiled) = (parameters, parameters)
        spoiled["fc.bias"][0] = .nan
        for gradients in [spoiled, spoiled, parameters, spoiled, spoiled] {
            _ = try pipeline.step(&updated, gradients: gradients)
        }
        let before = updated.bits
        let error = #expect(throws: DescentError.self) { try pipeline.step(&updated, gradients: spoiled) }
        #expect(error?.code == .tooManySkips)
        #expect(error?.parameter == "fc.bias")
        #expect(updated.bits == before)
        #expect(throws: DescentError.self) {
            try Pipeline(for: parameters, configuration: .init(nonFinite: .skipAtMost(0))) {
            } driving: {
                AdamW()
            }
        }
    }

    @Test func `the first parameter that is not finite is the one named`() throws {
        var pipeline = try makePipeline()
        var updated = parameters
        var gradients = TensorSet.random(layout, seed: 4)
        gradients["fc.bias"][0] = .nan
        gradients["fc.weight"][5] = .infinity
        guard case .skipped(let reason) = try pipeline.step(&updated, gradients: gradients) else {
            Issue.record("applied")
            return
        }
        #expect(reason.parameter == "fc.weight")
    }

    @Test(arguments: [0, -1, Float.nan, .infinity]) func `thresholds have to be above zero, and other settings finite`(
        _ value: Float
    ) throws {
        // A threshold of infinity measures, and never clips.
        let threshold = value == .infinity ? -.infinity : value
        let stages: [any Stage] = [
            ClipByNorm(threshold), ClipByGlobalNorm(threshold), ClipLayerwise(default: threshold),
            ClipByValue(abs(value) == 1 ? 0 : threshold),
            ClipLayerwise(default: nil, layers: ["fc": threshold]),
            Unscale(.static(value)), Unscale(.dynamic(initial: value)),
            Unscale(.dynamic(backoffFactor: Double(value == -1 ? 2 : value))),
            ClipByGlobalNorm(1, epsilon: value == 0 ? -1 : value),
            ClipByGlobalNorm(1, norm: .lp(Double(value))),
            Scale(by: .constant(value == -1 ? 0 : Double(value))),
        ]
        for stage in stages {
            let error = #expect(throws: DescentError.self, "\(stage)") {
                try Pipeline(for: parameters) {
                    stage
                } driving: {
                    AdamW()
                }
            }
            #expect(error?.code == .invalidSetting)
        }
        // Of an optimizer, 0 is a rate, an epsilon and a momentum like any other.
        let (unusual, decay) = (value == 0 ? -2 : value, Double(value == 0 ? 1 : value))
        let rate = Schedule.constant(Double(unusual))
        let optimizers: [any Driving] = [
            AdamW(learningRate: rate), SGD(learningRate: rate),
            AdamW(epsilon: unusual), AdamW(beta1: decay), AdamW(beta2: decay),
            AdamW(weightDecay: unusual), SGD(learningRate: 0.1, momentum: Double(unusual)),
            SGD(learningRate: .exponential(initial: 1, rate: Double(value), transitionSteps: 1)),
            SGD(learningRate: .warmupCosine(peak: Double(unusual), warmup: 1, total: 2)),
            SGD(learningRate: .warmupCosine(peak: 1, warmup: 2, total: 2)),
            SGD(learningRate: 0.1, nesterov: true),
            SGD(learningRate: 0.1, groups: [.named(prefix: "fd.", weightDecay: 0)]),
        ]
        for optimizer in optimizers {
            let error = #expect(throws: DescentError.self, "\(optimizer)") {
                try Pipeline(for: parameters) {
                } driving: {
                    optimizer
                }
            }
            #expect(error?.code == .invalidSetting)
        }
    }

    @Test func `counts below one, negative weights and unknown layers are refused`() throws {
        for stage: any Stage in [
            Accumulate(steps: 0), Unscale(.dynamic(growthInterval: 0)), Unscale(.dynamic(hysteresis: 0)),
            ClipLayerwise(default: 1, layers: ["fd": 1]),
        ] {
            #expect(throws: DescentError.self) {
                try Pipeline(for: parameters) {
                    stage
                } driving: {
                    AdamW()
                }
            }
        }
        var pipeline = try makePipeline()
        var updated = parameters
        for weight in [-1, Double.nan, .infinity] {
            let error = #expect(throws: DescentError.self) {
                try pipeline.step(&updated, gradients: parameters, weight: weight)
            }
            #expect(error?.code == .invalidWeight)
        }
    }

    @Test func `names and shapes that cannot be are refused`() throws {
        #expect(throws: DescentError.self) { try ParameterDescription("", shape: [1]) }
        #expect(throws: DescentError.self) { try ParameterDescription("w", shape: [-1]) }
        #expect(throws: DescentError.self) { try ParameterDescription("w", shape: [1 << 40, 1 << 40]) }
        let twice = try ParameterDescription("w", shape: [1])
        #expect(throws: DescentError.self) { try TensorSet([twice, twice]) }
    }

    @Test(arguments: [[], [[Int]()], [[0]], [[3, 0]], [[0, 3]], [[5, 1]], [[1, 200_000]], [[200_000]]])
    func `empty, scalar and huge-row tensors are ordinary input`(_ shapes: [[Int]]) throws {
        let layout = try makeLayout(shapes)
        var parameters = TensorSet.random(layout, seed: 1)
        let before = parameters
        var pipeline = try Pipeline(for: parameters) {
            Accumulate(steps: 2)
            Unscale(.static(2))
            Centralize()
            ClipByValue(10)
            ClipByNorm(1)
            ClipLayerwise(default: 1)
            ClipByGlobalNorm(1)
        } driving: {
            AdamW()
        }
        for seed in 0..<4 { _ = try pipeline.step(&parameters, gradients: .random(layout, seed: UInt64(seed))) }
        #expect(pipeline.appliedSteps == 2)
        #expect(parameters.arrays.joined().allSatisfy { $0.isFinite })
        #expect(layout.elementCount == 0 || parameters.bits != before.bits)
    }
}
