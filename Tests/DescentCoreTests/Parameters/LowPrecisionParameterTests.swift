import Descent
import DescentCore
import TestSupport
import Testing

/// Parameters that are stored in 16 bits.
@Suite struct LowPrecisionParameterTests {
    private static let masters = PipelineConfiguration(lowPrecisionParameters: .masterCopies)
    private static let random = PipelineConfiguration(lowPrecisionParameters: .stochasticRounding)

    /// Parameters in 16 bits, and the same numbers in float32.
    private func parameters(_ layout: ParameterLayout, _ type: ElementType) -> (narrow: TensorSet, wide: TensorSet) {
        var (narrow, wide) = (TensorSet(zeros: layout, type), TensorSet.random(layout, seed: 4))
        for name in layout.map(\.name) {
            narrow[name] = wide[name]
            wide[name] = narrow[name]
        }
        return (narrow, wide)
    }

    private func rounded(_ tensors: TensorSet, _ type: ElementType) -> [UInt32] {
        tensors.arrays.flatMap { $0.map { type.rounded($0).bitPattern } }
    }

    // MARK: Masters

    @Test(arguments: [ElementType.float16, .bfloat16], OutOfPlaceTests.chains.indices)
    func `masters are, bit for bit, what float32 parameters become, and parameters are masters rounded`(
        _ type: ElementType, _ chain: Int
    ) throws {
        let layout = try #require(OutOfPlaceTests.layout)
        for (optimizer, threads) in zip(OutOfPlaceTests.optimizers, [1, 2, 5, 1, 2, 5]) {
            let backend = SIMDBackend(threads: threads, blockLength: 48, elementsPerThread: 32)
            var (narrow, wide) = parameters(layout, type)
            let frozen = narrow["conv.bias"]
            var elsewhere = narrow
            let stages = OutOfPlaceTests.chains[chain].stages
            var first = try Pipeline(for: wide, on: backend, stages) { optimizer.make() }
            var second = try Pipeline(for: narrow, configuration: Self.masters, on: backend, stages) {
                optimizer.make()
            }
            var third = second
            for step in 0..<6 {
                let gradients = TensorSet.random(layout, seed: UInt64(step) + 10)
                let outcome = try first.step(&wide, gradients: gradients)
                #expect(try second.step(&narrow, gradients: gradients).isApplied == outcome.isApplied)
                var updated = TensorSet(zeros: layout, type)
                if try third.step(elsewhere, into: &updated, gradients: gradients).isApplied { elsewhere = updated }
                #expect(narrow.bits == rounded(wide, type), "\(optimizer.name), step \(step)")
                #expect(elsewhere.bits == narrow.bits)
            }
            let found = try #require(second.masterParameters)
            if !OutOfPlaceTests.chains[chain].name.contains("frozen") { #expect(found.bits == wide.bits) }
            #expect(third.masterParameters?.bits == found.bits)
            #expect(second.averagedParameters?.bits == first.averagedParameters?.bits)
            if OutOfPlaceTests.chains[chain].name == "frozen" { #expect(narrow["conv.bias"] == frozen) }
        }
    }

    @Test func `a parameter that its owner has changed is its own master from then on`() throws {
        let layout = try makeLayout([[4, 3], [4]])
        var (narrow, _) = parameters(layout, .bfloat16)
        var pipeline = try Pipeline(for: narrow, configuration: Self.masters, driving: { SGD(learningRate: 1e-4) })
        let gradients = TensorSet.random(layout, seed: 2)
        _ = try pipeline.step(&narrow, gradients: gradients)
        let before = try #require(pipeline.masterParameters)
        #expect(before.bits != narrow.bits)
        narrow["layer0.weight"][5] = 0.5
        narrow["layer0.bias"][1] = -0.0
        _ = try pipeline.step(&narrow, gradients: gradients)
        let after = try #require(pipeline.masterParameters)
        for (name, index, start) in [
            ("layer0.weight", 5, 0.5), ("layer0.bias", 1, -0.0), ("layer0.weight", 4, before["layer0.weight"][4]),
        ] as [(String, Int, Float)] {
            #expect(after[name][index] == start - 1e-4 * gradients[name][index])
        }
    }

    @Test func `a veto, a throw and a copy leave masters and parameters as they are`() throws {
        let layout = try makeLayout([[4, 3], [4]])
        var (narrow, _) = parameters(layout, .bfloat16)
        var pipeline = try Pipeline(for: narrow, configuration: Self.masters) {
            ClipAdaptively(factor: 0.1)
            ClipByGlobalNorm(1)
        } driving: {
            AdamW()
        }
        let gradients = TensorSet.random(layout, seed: 2)
        _ = try pipeline.step(&narrow, gradients: gradients)
        let (masters, stored) = (try #require(pipeline.masterParameters).bits, narrow.bits)
        var spoiled = gradients
        spoiled["layer0.bias"][2] = .infinity
        // An edit that the step which was vetoed has seen is taken by the next one.
        #expect(try !pipeline.step(&narrow, gradients: spoiled).isApplied)
        #expect(thrownError { _ = try pipeline.step(&narrow, gradients: gradients, weight: -1) } != nil)
        #expect(pipeline.masterParameters?.bits == masters && narrow.bits == stored)
        var (copy, copied) = (pipeline, narrow)
        _ = try copy.step(&copied, gradients: gradients)
        #expect(pipeline.masterParameters?.bits == masters && narrow.bits == stored && copied.bits != stored)
        _ = try pipeline.step(&narrow, gradients: gradients)
        #expect(pipeline.masterParameters?.bits == copy.masterParameters?.bits && narrow.bits == copied.bits)
    }

    @Test func `an edit is taken by a step that is applied, and by none that is only measured`() throws {
        let layout = try makeLayout([[4, 3], [4]])
        var (narrow, _) = parameters(layout, .bfloat16)
        // Noise is added in the sweep that measures, too, by a stage that is lent whole blocks.
        var pipeline = try Pipeline(for: narrow, configuration: Self.masters) {
            AddNoise(seed: 3)
            ClipByGlobalNorm(1)
        } driving: {
            SGD(learningRate: 1e-4)
        }
        let gradients = TensorSet.random(layout, seed: 2)
        _ = try pipeline.step(&narrow, gradients: gradients)
        let masters = try #require(pipeline.masterParameters).bits
        narrow["layer0.weight"][5] = 0.5
        let edited = narrow.bits
        var spoiled = gradients
        spoiled["layer0.bias"][2] = .infinity
        #expect(try !pipeline.step(&narrow, gradients: spoiled).isApplied)
        #expect(pipeline.masterParameters?.bits == masters && narrow.bits == edited)
        _ = try pipeline.step(&narrow, gradients: gradients)
        let master = try #require(pipeline.masterParameters)["layer0.weight"][5]
        #expect(abs(master - 0.5) < 1e-3 && master != 0.5)
    }

    @Test(arguments: [LowPrecisionParameters.masterCopies, .stochasticRounding], [ElementType.bfloat16, .float16])
    func `a resumed run has the bits of one that was not stopped`(
        _ how: LowPrecisionParameters, _ type: ElementType
    ) throws {
        let layout = try makeLayout([[4, 3], [4]])
        let configuration = PipelineConfiguration(lowPrecisionParameters: how)
        var (narrow, _) = parameters(layout, type)
        var pipeline = try Pipeline(for: narrow, configuration: configuration) {
            Accumulate(steps: 2)
        } driving: {
            AdamW()
        }
        for step in 0..<5 { _ = try pipeline.step(&narrow, gradients: .random(layout, seed: UInt64(step))) }
        let folder = try TemporaryFolder()
        let path = folder["run.safetensors"]
        try pipeline.checkpoint(to: path, including: narrow)
        var resumedParameters = TensorSet(zeros: layout, type)
        var resumed = try Pipeline(
            resuming: path, restoring: &resumedParameters, configuration: configuration
        ) {
            Accumulate(steps: 2)
        } driving: {
            AdamW()
        }
        #expect(resumedParameters.bits == narrow.bits)
        #expect(resumed.masterParameters?.bits == pipeline.masterParameters?.bits)
        for step in 5..<10 {
            let gradients = TensorSet.random(layout, seed: UInt64(step))
            _ = try pipeline.step(&narrow, gradients: gradients)
            _ = try resumed.step(&resumedParameters, gradients: gradients)
            #expect(resumedParameters.bits == narrow.bits)
        }
        #expect(resumed.masterParameters?.bits == pipeline.masterParameters?.bits)
    }

    @Test func `a master that does not fit float16 diverges`() throws {
        let layout = try makeLayout([[2, 2], [2]])
        for configuration in [Self.masters, Self.random] {
            var narrow = TensorSet(zeros: layout, .float16)
            narrow["layer0.weight"] = [60_000, 1, 1, 1]
            var pipeline = try Pipeline(
                for: narrow, configuration: configuration, driving: { SGD(learningRate: 1) })
            var gradients = TensorSet(zeros: layout)
            gradients["layer0.weight"][0] = -5_500
            #expect(try pipeline.step(&narrow, gradients: gradients).isApplied)
            gradients["layer0.weight"][0] = -100
            guard case .diverged(let divergence) = try pipeline.step(&narrow, gradients: gradients) else {
                Issue.record("not diverged")
                continue
            }
            #expect(divergence.parameter == "layer0.weight")
        }
    }

    // MARK: Rounding at random

    @Test(arguments: [ElementType.float16, .bfloat16]) func `no update is lost on average`(_ type: ElementType) throws {
        let layout = try ParameterLayout([ParameterDescription("weight", shape: [100, 100])])
        var narrow = TensorSet(zeros: layout, type)
        narrow["weight"] = [Float](repeating: 1, count: 10_000)
        // An eighth of the distance to the next number.
        let rate: Float = (type == .bfloat16 ? 0x1p-7 : 0x1p-10) / 8
        var pipeline = try Pipeline(
            for: narrow, configuration: Self.random, driving: { SGD(learningRate: .constant(Double(rate))) })
        var gradients = TensorSet(zeros: layout)
        gradients["weight"] = [Float](repeating: -1, count: 10_000)
        for _ in 0..<40 { _ = try pipeline.step(&narrow, gradients: gradients) }
        let mean = narrow["weight"].reduce(0.0) { $0 + Double($1) } / 10_000
        // 10,000 walks of 40 steps with a deviation of a third of a place: 0.02 places, of which 5 are walked.
        #expect(abs(mean - 1 - 40 * Double(rate)) < 0.02 * 40 * Double(rate))
        #expect(Set(narrow["weight"]).count > 2)
    }

    @Test func `bits do not depend on threads, nor on where parameters lie`() throws {
        let layout = try #require(OutOfPlaceTests.layout)
        for type in [ElementType.float16, .bfloat16] {
            var results: [[UInt32]] = []
            for threads in [1, 2, 5] {
                let backend = SIMDBackend(threads: threads, blockLength: 48, elementsPerThread: 32)
                var (narrow, _) = parameters(layout, type)
                let lent = StridedTensors(narrow, seed: UInt64(threads), [type])
                var pipeline = try Pipeline(for: narrow, configuration: Self.random, on: backend) {
                    ClipByGlobalNorm(0.5)
                } driving: {
                    AdamW(learningRate: 0.01)
                }
                var other = pipeline
                for step in 0..<4 {
                    var gradients = TensorSet.random(layout, seed: UInt64(step) + 10)
                    _ = try pipeline.step(&narrow, gradients: gradients)
                    _ = try gradients.withUnsafeTensors { gradients throws(DescentError) in
                        try other.step(unsafeParameters: lent.tensors, unsafeGradients: gradients)
                    }
                }
                #expect(lent.set.bits == narrow.bits && lent.gapsAreUntouched)
                results.append(narrow.bits)
            }
            #expect(Set(results).count == 1)
        }
    }

    // MARK: Types

    @Test func `float32 and 16 bits are trained side by side`() throws {
        let layout = try #require(OutOfPlaceTests.layout)
        let start = TensorSet.random(layout, seed: 1)
        let lent = StridedTensors(start, seed: 8, [.float32, .bfloat16, .float16])
        var wide = lent.set
        var first = try Pipeline(for: wide) {
            ClipByGlobalNorm(0.5)
        } driving: {
            AdamW(learningRate: 0.01)
        }
        var second = try Pipeline(for: wide, configuration: Self.masters) {
            ClipByGlobalNorm(0.5)
        } driving: {
            AdamW(learningRate: 0.01)
        }
        for step in 0..<4 {
            var gradients = TensorSet.random(layout, seed: UInt64(step) + 10)
            _ = try first.step(&wide, gradients: gradients)
            _ = try gradients.withUnsafeTensors { gradients throws(DescentError) in
                try second.step(unsafeParameters: lent.tensors, unsafeGradients: gradients)
            }
        }
        for (memory, parameter) in zip(lent.tensors.reversed(), layout) {
            let expected = wide[parameter.name].map { memory.elementType.rounded($0) }
            #expect(lent.set[parameter.name] == expected, "\(parameter.name), \(memory.elementType)")
        }
        // Unless the configuration says how, the first of 16 bits is named.
        let error = thrownError {
            var gradients = TensorSet.random(layout, seed: 1)
            _ = try gradients.withUnsafeTensors { gradients throws(DescentError) in
                try first.step(unsafeParameters: lent.tensors, unsafeGradients: gradients)
            }
        }
        #expect(error?.code == .elementTypeMismatch)
        let name = lent.tensors.reversed().first { $0.elementType != .float32 }?.name
        #expect(error?.parameter == name && name != nil)
    }

    @Test func `a chain reads parameters of any type`() throws {
        let layout = try #require(OutOfPlaceTests.layout)
        let lent = StridedTensors(.random(layout, seed: 1), seed: 8, [.float32, .bfloat16, .float16])
        let before = lent.set
        var chain = try Chain(for: layout) {
            ClipAdaptively(factor: 0.1)
            ClipByGlobalNorm(0.5)
        }
        var other = chain
        var (first, second) = (TensorSet.random(layout, seed: 2), TensorSet.random(layout, seed: 2))
        _ = try chain.transform(&first, parameters: before)
        _ = try second.withUnsafeTensors { gradients throws(DescentError) in
            try other.transform(unsafeGradients: gradients, unsafeParameters: lent.tensors)
        }
        #expect(first.bits == second.bits && lent.set.bits == before.bits)
        var half = TensorSet(zeros: layout, .bfloat16)
        for name in layout.map(\.name) { half[name] = before[name] }
        #expect(try chain.transform(&first, parameters: half).isApplied)
    }

    @Test func `a type that changes between steps is refused by name, unless that is said`() throws {
        let layout = try makeLayout([[4, 3], [4]])
        var wide = TensorSet.random(layout, seed: 1)
        let half = StridedTensors(wide, seed: 3, [.bfloat16])
        var gradients = TensorSet.random(layout, seed: 2)
        var pipeline = try Pipeline(for: wide, configuration: Self.masters, driving: { AdamW() })
        func step(
            _ pipeline: inout Pipeline, _ parameters: [UnsafeTensor], _ halved: StridedTensors? = nil
        ) throws(DescentError) {
            _ = try gradients.withUnsafeTensors { gradients throws(DescentError) in
                try pipeline.step(unsafeParameters: parameters, unsafeGradients: halved?.tensors ?? gradients)
            }
        }
        try step(&pipeline, half.tensors)
        let stored = half.set.bits
        var error = thrownError {
            try wide.withUnsafeTensors { wide throws(DescentError) in try step(&pipeline, wide) }
        }
        #expect(error?.code == .elementTypeMismatch && error?.parameter == "layer0.weight")
        error = thrownError { try step(&pipeline, half.tensors, half) }
        #expect(error?.code == .elementTypeMismatch && error?.parameter == "layer0.weight")
        #expect(pipeline.appliedSteps == 1 && half.set.bits == stored)
        try pipeline.relayout(for: wide)
        try wide.withUnsafeTensors { wide throws(DescentError) in try step(&pipeline, wide) }
        #expect(pipeline.appliedSteps == 2)
    }

    @Test func `a copy in 16 bits of what may be stored in 16 bits is refused`() throws {
        let layout = try makeLayout([[4, 3]])
        let error = thrownError {
            _ = try Pipeline(
                for: TensorSet(zeros: layout),
                configuration: PipelineConfiguration(
                    parameterCopy: .bfloat16, lowPrecisionParameters: .masterCopies),
                driving: { AdamW() })
        }
        #expect(error?.code == .invalidSetting)
    }

    @Test func `the plan names the masters`() throws {
        let layout = try makeLayout([[4, 3], [4]])
        let pipeline = try Pipeline(
            for: TensorSet(zeros: layout, .bfloat16), configuration: Self.masters, driving: { AdamW() })
        let plan = pipeline.explain()
        #expect(plan.contains("4 B for each element: MasterParameters.parameters"))
        #expect(plan.contains("reads 18 B for each element: gradient, parameter, MasterParameters.parameters, AdamW."))
        #expect(plan.contains("writes 14 B for each element: parameter, MasterParameters.parameters, AdamW."))
    }
}
