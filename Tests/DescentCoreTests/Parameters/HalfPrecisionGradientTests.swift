import Descent
import TestSupport
import Testing

/// Gradients that arrive in 16 bits.
@Suite struct HalfPrecisionGradientTests {
    typealias Stages = @Sendable () -> [any Stage]

    static let chains: [(name: String, stages: Stages)] = [
        ("none", { [] }),
        ("unscale and clip", { [Unscale(.static(64)), ClipByGlobalNorm(0.01)] }),
        ("centralize and clip", { [Centralize(), ClipByGlobalNorm(0.5)] }),
        ("norms", { [ClipByNorm(0.9), ClipLayerwise(default: 0.5), ClipByGlobalNorm(0.4, norm: .l1)] }),
        ("L3 behind rows", { [Centralize(), ClipByGlobalNorm(0.5, norm: .lp(3))] }),
        ("accumulate", { [Accumulate(steps: 2, reduction: .weighted), Centralize(), ClipByGlobalNorm(0.5)] }),
        ("before accumulation", { [Centralize(), ClipByNorm(1), Accumulate(steps: 2), Centralize()] }),
        ("value", { [Centralize(), ClipByValue(0.2), Centralize(), ClipByNorm(0.1)] }),
        ("only", { [ClipByGlobalNorm(0.1).only { $0.rank > 1 }, ClipByValue(0.3).only { $0.rank == 1 }] }),
        ("adaptive", { [ClipAdaptively(factor: 0.1), ClipByGlobalNorm(0.5)] }),
        ("noise", { [ZeroNonFinite(), AddNoise(seed: 3), Normalize()] }),
    ]

    static let optimizers: [any Driving] = [
        SGD(learningRate: 0.1), SGD(learningRate: 0.1, momentum: 0.9, nesterov: true),
        AdamW(learningRate: 0.01, amsgrad: true), Adagrad(), RMSProp(momentum: 0.5, centered: true), Lion(), LAMB(),
        Adam().averagingParameters(decay: 0.9), AdamW().lookingAhead(synchronizationPeriod: 2),
    ]

    static let layout: ParameterLayout? = try? ParameterLayout([
        ParameterDescription("fc1.weight", shape: [13, 7]), ParameterDescription("fc1.bias", shape: [13]),
        ParameterDescription("conv.kernel", shape: [2, 2, 2, 17], outputAxis: .last),
        ParameterDescription("conv.bias", shape: [17]), ParameterDescription("empty", shape: [0, 3]),
        ParameterDescription("gain", shape: []),
    ])

    /// Gradients in 16 bits, and the same numbers in float32.
    private func gradients(
        _ layout: ParameterLayout, _ elementType: ElementType, seed: UInt64
    ) -> (narrow: TensorSet, wide: TensorSet) {
        var (narrow, wide) = (TensorSet(zeros: layout, elementType), TensorSet.random(layout, seed: seed))
        for name in layout.map(\.name) {
            narrow[name] = wide[name]
            wide[name] = narrow[name]
        }
        return (narrow, wide)
    }

    private func train(
        _ layout: ParameterLayout, _ stages: Stages, _ optimizer: any Driving, threads: Int,
        _ gradients: (Int) -> TensorSet
    ) throws -> [UInt32] {
        var parameters = TensorSet.random(layout, seed: 7)
        let backend = SIMDBackend(threads: threads, blockLength: 48, elementsPerThread: 32)
        var pipeline = try Pipeline(for: parameters, on: backend, stages) { optimizer }
        for step in 0..<4 {
            _ = try pipeline.step(&parameters, gradients: gradients(step), weight: Double(step + 1))
        }
        return parameters.bits + (pipeline.averagedParameters?.bits ?? [])
    }

    @Test(arguments: [ElementType.float16, .bfloat16], chains.indices)
    func `they give, bit for bit, what the same numbers in float32 give`(
        _ elementType: ElementType, _ chain: Int
    ) throws {
        let layout = try #require(Self.layout)
        let stages = Self.chains[chain].stages
        let steps = (0..<4).map { gradients(layout, elementType, seed: UInt64($0) + 20) }
        for number in [chain, chain + 4] {
            let optimizer = Self.optimizers[number % Self.optimizers.count]
            let expected = try train(layout, stages, optimizer, threads: 1) { steps[$0].wide }
            for threads in [1, 2, 8] {
                let bits = try train(layout, stages, optimizer, threads: threads) { steps[$0].narrow }
                #expect(bits == expected, "\(Self.chains[chain].name), \(optimizer.name), \(threads) threads")
            }
        }
    }

    @Test(arguments: [ElementType.float16, .bfloat16]) func `external buffers of 16 bits are read where they lie`(
        _ elementType: ElementType
    ) throws {
        let layout = try makeLayout([[4, 6], [4]])
        let (narrow, _) = gradients(layout, elementType, seed: 1)
        let initial = TensorSet.random(layout, seed: 2)
        var expected = initial
        func makePipeline() throws -> Pipeline {
            try Pipeline(for: initial) {
                Centralize()
                ClipByGlobalNorm(0.5)
            } driving: {
                AdamW()
            }
        }
        var pipeline = try makePipeline()
        #expect(try pipeline.step(&expected, gradients: narrow).isApplied)

        var external = try makePipeline()
        var (weight, bias) = (initial["layer0.weight"], initial["layer0.bias"])
        func patterns(_ name: String) -> [UInt16] {
            narrow[name].map { elementType == .float16 ? Binary16($0).bitPattern : BFloat16($0).bitPattern }
        }
        var (ofWeight, ofBias) = (patterns("layer0.weight"), patterns("layer0.bias"))
        try weight.withUnsafeMutableBufferPointer { weight in
            try bias.withUnsafeMutableBufferPointer { bias in
                try ofWeight.withUnsafeMutableBufferPointer { first in
                    try ofBias.withUnsafeMutableBufferPointer { second in
                        let outcome = try external.step(
                            unsafeParameters: [
                                UnsafeTensor("layer0.bias", bias), UnsafeTensor("layer0.weight", weight),
                            ],
                            unsafeGradients: [
                                UnsafeTensor("layer0.weight", shape: [4, 6], bitPatterns: first, elementType),
                                UnsafeTensor("layer0.bias", bitPatterns: second, elementType),
                            ])
                        #expect(outcome.isApplied)
                    }
                }
            }
        }
        #expect(weight.map(\.bitPattern) + bias.map(\.bitPattern) == expected.bits)
    }

    @Test func `external parameters of two element types are refused by name`() throws {
        let layout = try makeLayout([[2], [2]])
        var pipeline = try Pipeline(for: TensorSet(zeros: layout)) {
        } driving: {
            SGD(learningRate: 1)
        }
        var (floats, words) = ([Float](repeating: 1, count: 2), [UInt16](repeating: 1, count: 2))
        var gradients = TensorSet.random(layout, seed: 1)
        let error = #expect(throws: DescentError.self) {
            try floats.withUnsafeMutableBufferPointer { floats in
                try words.withUnsafeMutableBufferPointer { words in
                    _ = try gradients.withUnsafeTensors { (gradients) throws(DescentError) in
                        try pipeline.step(
                            unsafeParameters: [
                                UnsafeTensor("layer0.weight", floats),
                                UnsafeTensor("layer0.bias", bitPatterns: words, .float16),
                            ], unsafeGradients: gradients)
                    }
                }
            }
        }
        #expect(error?.code == .elementTypeMismatch)
        #expect(error?.parameter == "layer0.bias")
        #expect(floats == [1, 1] && words == [1, 1])
    }

    @Test func `parameters in 16 bits are refused unless it is said how they are trained, and stay as they are`() throws
    {
        let layout = try makeLayout([[3, 2], [3]])
        var parameters = gradients(layout, .bfloat16, seed: 4).narrow
        let before = parameters.bits
        let updated = TensorSet.random(layout, seed: 5)
        var pipeline = try Pipeline(for: updated) {
        } driving: {
            SGD(learningRate: 1)
        }
        let error = #expect(throws: DescentError.self) { try pipeline.step(&parameters, gradients: updated) }
        #expect(error?.code == .elementTypeMismatch)
        #expect(parameters.bits == before)
    }

    @Test(arguments: [ElementType.float16, .bfloat16]) func `a chain that transforms them in place rounds to nearest`(
        _ elementType: ElementType
    ) throws {
        let layout = try #require(Self.layout)
        for stages: [any Stage] in [
            [Scale(by: 0.37)], [Centralize(), ClipByGlobalNorm(0.5)], [ClipByValue(0.3)], [],
            [Accumulate(steps: 1), Centralize()],
        ] {
            var (narrow, wide) = gradients(layout, elementType, seed: 9)
            let backend = SIMDBackend(threads: 2, blockLength: 48, elementsPerThread: 32)
            var chain = try Chain(for: layout, on: backend) { stages }
            var copy = chain
            #expect(try chain.transform(&narrow).isApplied)
            #expect(try copy.transform(&wide).isApplied)
            #expect(narrow.elementType == elementType)
            #expect(narrow.bits == wide.bits.map { elementType.rounded(Float(bitPattern: $0)).bitPattern })
        }
    }

    @Test func `a window is gathered in float32, however its micro-batches arrive`() throws {
        let layout = try makeLayout([[1]])
        var gradients = TensorSet(zeros: layout, .bfloat16)
        var parameters = TensorSet(zeros: layout)
        var pipeline = try Pipeline(for: parameters) {
            Accumulate(steps: 3, reduction: .sum)
        } driving: {
            SGD(learningRate: 1)
        }
        for value: Float in [256, 1, 1] {
            gradients["layer0.weight"] = [value]
            _ = try pipeline.step(&parameters, gradients: gradients)
        }
        // In bfloat16 the sum would stay 256.
        #expect(parameters["layer0.weight"] == [-258])
    }

    @Test(arguments: [ElementType.float16, .bfloat16]) func `one that is not finite is skipped and named`(
        _ elementType: ElementType
    ) throws {
        let layout = try makeLayout([[4, 6], [4]])
        var narrow = gradients(layout, elementType, seed: 1).narrow
        narrow["layer0.bias"] = [0, .infinity, -.infinity, .nan]
        let before = narrow.bits
        var chain = try Chain(for: layout) { ClipByNorm(1) }
        guard case .skipped(let reason) = try chain.transform(&narrow) else {
            Issue.record("applied")
            return
        }
        #expect(reason.parameter == "layer0.bias")
        #expect(reason.description.contains("1 NaN and 2 infinite"))
        #expect(narrow.bits == before)
    }
}
