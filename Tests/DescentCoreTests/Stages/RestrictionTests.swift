import Descent
import TestSupport
import Testing

/// Stages for some of the parameters: freezing, masking, `only`.
@Suite struct RestrictionTests {
    let layout: ParameterLayout
    let parameters: TensorSet

    init() throws {
        layout = try ParameterLayout([
            ParameterDescription("encoder.weight", shape: [9, 5]), ParameterDescription("encoder.bias", shape: [9]),
            ParameterDescription("decoder.kernel", shape: [4, 17], outputAxis: .last),
            ParameterDescription("decoder.bias", shape: [17]), ParameterDescription("gain", shape: []),
        ])
        parameters = .random(layout, seed: 1)
    }

    private let backend = SIMDBackend(threads: 2, blockLength: 32, elementsPerThread: 32)

    private func names(_ prefix: String) -> [String] { layout.map(\.name).filter { $0.hasPrefix(prefix) } }

    private func norm(_ tensors: TensorSet, _ names: [String]) -> Double {
        names.flatMap { tensors[$0] }.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    }

    private func bits(_ tensors: TensorSet, _ names: [String]) -> [UInt32] {
        names.flatMap { tensors[$0].map(\.bitPattern) }
    }

    // MARK: Freeze

    static let optimizers: [any Driving] = [
        SGD(learningRate: 0.1, momentum: 0.9, weightDecay: 0.1), AdamW(weightDecay: 0.1, amsgrad: true),
        LAMB(weightDecay: 0.1), Adagrad(initialAccumulator: 1), AdamW().lookingAhead(synchronizationPeriod: 2),
    ]

    @Test(arguments: optimizers.indices) func `a frozen parameter and its slots keep their bits, whatever its gradient`(
        _ optimizer: Int
    ) throws {
        let (frozen, others) = (names("encoder."), names("decoder.") + ["gain"])
        for stages: [any Stage] in [
            [Freeze(prefix: "encoder.")],
            [Unscale(.static(2)), Centralize(), ClipByGlobalNorm(0.5), Freeze(prefix: "encoder.")],
            [Freeze { $0.name.hasPrefix("encoder.") }, Accumulate(steps: 2), ClipByValue(1), Normalize()],
        ] {
            var updated = parameters
            var pipeline = try Pipeline(for: parameters, on: backend) {
                stages
            } driving: {
                Self.optimizers[optimizer]
            }
            for step in 0..<4 {
                var gradients = TensorSet.random(layout, seed: UInt64(step) + 5)
                gradients["encoder.weight"][11] = [.nan, .infinity, -.infinity, 3e38][step]
                if case .skipped(let reason) = try pipeline.step(&updated, gradients: gradients) {
                    Issue.record("\(reason)")
                }
            }
            #expect(pipeline.skippedSteps == 0 && pipeline.appliedSteps >= 2)
            #expect(bits(updated, frozen) == bits(parameters, frozen))
            for name in others { #expect(updated[name] != parameters[name]) }
            for slot in pipeline.slotNames {
                let values = bits(try #require(pipeline.slot(named: slot)), frozen)
                #expect(values.allSatisfy { $0 == 0 }, "\(slot)")
            }
        }
    }

    @Test func `norms leave frozen parameters out`() throws {
        let gradients = TensorSet.random(layout, seed: 3)
        for position in 0...1 {
            var stages: [any Stage] = [ClipByGlobalNorm(0.5, epsilon: 0)]
            stages.insert(Freeze(prefix: "encoder."), at: position)
            var transformed = gradients
            var chain = try Chain(for: layout, on: backend) { stages }
            guard case .applied(let report) = try chain.transform(&transformed) else {
                Issue.record("skipped")
                continue
            }
            let expected = norm(gradients, names("decoder.") + ["gain"])
            #expect(abs(Double(try #require(report.gradientNorm)) - expected) < 1e-5)
            #expect(abs(norm(transformed, names("decoder.") + ["gain"]) - 0.5) < 1e-6)
            // In a chain alone they stay as they were.
            #expect(bits(transformed, names("encoder.")) == bits(gradients, names("encoder.")))
        }
    }

    @Test func `all parameters can be frozen`() throws {
        var updated = parameters
        var pipeline = try Pipeline(for: parameters) {
            Freeze { _ in true }
            ClipByGlobalNorm(1)
        } driving: {
            AdamW()
        }
        var gradients = TensorSet.random(layout, seed: 3)
        gradients["gain"] = [.nan]
        #expect(try pipeline.step(&updated, gradients: gradients).isApplied)
        #expect(updated.bits == parameters.bits)
    }

    @Test func `the average and the copy of a frozen parameter are the parameter itself`() throws {
        for optimizer: any Driving in [
            SGD(learningRate: 0.1).averagingParameters(decay: 0.9),
            LAMB().averagingParameters(decay: 0.9).lookingAhead(synchronizationPeriod: 2),
        ] {
            var updated = parameters
            var pipeline = try Pipeline(for: parameters, configuration: .init(parameterCopy: .bfloat16), on: backend) {
                Accumulate(steps: 2)
                Freeze { $0.name.hasPrefix("encoder.") || $0.name == "decoder.kernel" }
            } driving: {
                optimizer
            }
            func expectCopies() throws {
                let copy = try #require(pipeline.parameterCopy)
                for name in layout.map(\.name) {
                    #expect(copy[name] == updated[name].map { ElementType.bfloat16.rounded($0) }, "\(name)")
                }
            }
            try expectCopies()
            for step in 0..<6 as Range<UInt64> {
                _ = try pipeline.step(&updated, gradients: .random(layout, seed: step))
                guard pipeline.appliedSteps > 0 else { continue }
                try expectCopies()
                let average = try #require(pipeline.averagedParameters)
                for name in names("encoder.") + ["decoder.kernel"] { #expect(average[name] == parameters[name]) }
            }
            #expect(pipeline.appliedSteps == 3)
        }
    }

    // MARK: Mask

    @Test func `a masked gradient is zero, and momentum and decay still act`() throws {
        let masked = names("encoder.")
        var transformed = TensorSet.random(layout, seed: 3)
        let gradients = transformed
        var chain = try Chain(for: layout, on: backend) {
            Mask(prefix: "encoder.")
            ClipByGlobalNorm(1e9)
        }
        guard case .applied(let report) = try chain.transform(&transformed) else {
            Issue.record("skipped")
            return
        }
        #expect(masked.flatMap { transformed[$0] }.allSatisfy { $0 == 0 })
        let others = names("decoder.") + ["gain"]
        #expect(bits(transformed, others) == bits(gradients, others))
        #expect(abs(Double(try #require(report.gradientNorm)) - norm(gradients, others)) < 1e-5)

        var updated = parameters
        var pipeline = try Pipeline(for: parameters, on: backend) {
            Mask { $0.name.hasPrefix("encoder.") }
        } driving: {
            SGD(learningRate: 0.5, weightDecay: 0.5)
        }
        #expect(try pipeline.step(&updated, gradients: gradients).isApplied)
        for name in masked { #expect(updated[name] == parameters[name].map { $0 - 0.5 * (0.5 * $0) }) }
    }

    @Test func `a masked gradient is zero whatever it holds, and others still skip`() throws {
        var gradients = TensorSet.random(layout, seed: 3)
        gradients["encoder.bias"][0] = .infinity
        gradients["encoder.bias"][1] = .nan
        for policy in [NonFinitePolicy.skip, .propagate] {
            var masked = gradients
            var chain = try Chain(for: layout, configuration: .init(nonFinite: policy)) {
                Scale(by: 2)
                Mask(prefix: "encoder.")
                Centralize()
                ClipByGlobalNorm(1e6)
            }
            #expect(try chain.transform(&masked).isApplied)
            #expect(masked["encoder.bias"].allSatisfy { $0 == 0 })
        }
        let other = try #require(layout.first { !$0.name.hasPrefix("encoder.") && $0.count > 0 }).name
        gradients[other][0] = .nan
        var chain = try Chain(for: layout) { Mask(prefix: "encoder.") }
        #expect(try chain.transform(&gradients).skipReason?.parameter == other)
    }

    // MARK: Only

    @Test func `a restricted global norm counts, clips and reports the chosen parameters alone`() throws {
        let (chosen, others) = (names("decoder."), names("encoder.") + ["gain"])
        for norm: Norm in [.l2, .l1, .lInfinity] {
            let gradients = TensorSet.random(layout, seed: 3)
            var transformed = gradients
            var chain = try Chain(for: layout, on: backend) {
                ClipByGlobalNorm(0.25, norm: norm, epsilon: 0).only { $0.name.hasPrefix("decoder.") }
            }
            guard case .applied(let report) = try chain.transform(&transformed) else {
                Issue.record("skipped")
                continue
            }
            let magnitudes = chosen.flatMap { gradients[$0] }.map { abs(Double($0)) }
            let expected =
                switch norm {
                case .l1: magnitudes.reduce(0, +)
                case .lInfinity: magnitudes.max() ?? 0
                default: magnitudes.reduce(0) { $0 + $1 * $1 }.squareRoot()
                }
            #expect(report.norms.count == 1)
            #expect(abs(Double(report.norms[0].before) - expected) <= 1e-6 * expected)
            #expect(abs(Double(report.norms[0].after) - 0.25) < 1e-6)
            for name in chosen {
                let scaled = gradients[name].map { Double($0) * 0.25 / expected }
                #expect(largestDifference(transformed[name], scaled) < 1e-6)
            }
            #expect(bits(transformed, others) == bits(gradients, others))
        }
    }

    @Test func `clips by tensor and by layer list the chosen alone`() throws {
        let gradients = TensorSet.random(layout, seed: 3)
        for (stage, groups) in [
            (ClipByNorm(0.1).only { $0.rank > 1 }, ["encoder.weight", "decoder.kernel"]),
            (ClipLayerwise(default: 0.1).only { $0.rank > 1 }, ["encoder", "decoder"]),
        ] as [(any GradientTransform, [String])] {
            var transformed = gradients
            var chain = try Chain(for: layout, on: backend) { stage }
            guard case .applied(let report) = try chain.transform(&transformed) else {
                Issue.record("skipped")
                continue
            }
            #expect(report.norms.map(\.group) == groups)
            for name in ["encoder.weight", "decoder.kernel"] {
                #expect(abs(norm(transformed, [name]) - 0.1) < 1e-6)
            }
            let others = ["encoder.bias", "decoder.bias", "gain"]
            #expect(bits(transformed, others) == bits(gradients, others))
        }
    }

    static let stages: [@Sendable (@escaping @Sendable (ParameterDescription) -> Bool) -> any GradientTransform] = [
        { Scale(by: 3).only(where: $0) }, { Centralize().only(where: $0) }, { ClipByValue(0.1).only(where: $0) },
        { Normalize().only(where: $0) }, { AddNoise(seed: 1).only(where: $0) },
        { ClipAdaptively().only(where: $0) }, { ClipByZScore(warmup: 1).only(where: $0) }, { Squash().only(where: $0) },
        { Smooth(decay: 0.5).only(where: $0) }, { Mask(prefix: "encoder.").only(where: $0) },
        { ClipByGlobalNorm(0.1).only { $0.rank > 1 }.only(where: $0) },
    ]

    @Test(arguments: stages.indices) func `others pass unchanged, bit for bit, and the chosen do not`(
        _ stage: Int
    ) throws {
        let (chosen, others) = (["encoder.weight"], names("decoder.") + ["encoder.bias", "gain"])
        var chain = try Chain(for: layout, on: backend) {
            Self.stages[stage]({ $0.name == "encoder.weight" })
        }
        var transformed = parameters
        for step in 0..<3 {
            let gradients = TensorSet.random(layout, seed: UInt64(step), scale: Float(step) + 1)
            transformed = gradients
            #expect(try chain.transform(&transformed, parameters: parameters).isApplied)
            #expect(bits(transformed, others) == bits(gradients, others))
            if step == 2 { #expect(bits(transformed, chosen) != bits(gradients, chosen)) }
        }
    }

    @Test func `two restrictions choose what both choose`() throws {
        var gradients = TensorSet.random(layout, seed: 3)
        let original = gradients
        var chain = try Chain(for: layout, on: backend) {
            Scale(by: 2).only { $0.name.hasPrefix("encoder.") }.only { $0.rank == 1 }
        }
        #expect(try chain.transform(&gradients).isApplied)
        for name in layout.map(\.name) {
            #expect(gradients[name] == original[name].map { $0 * (name == "encoder.bias" ? 2 : 1) })
        }
    }

    @Test func `transforms that leave gradients in another condition cannot be restricted`() throws {
        for stage: any Stage in [
            Unscale(.static(2)).only { _ in true }, Unscale(.static(1)).only { _ in true },
            Unscale().only { _ in true }.only { _ in true },
        ] {
            let error = #expect(throws: DescentError.self) { try Chain(for: layout) { stage } }
            #expect(error?.code == .invalidSetting)
            #expect(error?.message.contains("cannot be restricted") == true)
        }
    }

    @Test func `a condition that holds for no parameter is refused, and names those there are`() throws {
        for stage: any Stage in [
            Freeze(prefix: "encodr."), Freeze { _ in false }, Mask(prefix: "encodr."), Mask { _ in false },
            ClipByNorm(1).only { $0.rank == 7 },
        ] {
            let error = #expect(throws: DescentError.self) { try Chain(for: layout) { stage } }
            #expect(error?.code == .invalidSetting)
            #expect(error?.message.contains("encoder.weight, encoder.bias") == true)
        }
    }
}
