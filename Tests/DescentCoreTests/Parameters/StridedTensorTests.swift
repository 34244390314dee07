import Descent
import DescentCore
import TestSupport
import Testing

/// Tensors of hosts that lie in another order than row-major, with gaps, or in several types, and are read where they lie.
@Suite struct StridedTensorTests {
    @Test(arguments: Arrangement.all) func `strided gradients and parameters give the bits of row-major ones`(
        _ arrangement: Arrangement
    ) throws {
        var (expected, training) = (try Training(arrangement), try Training(arrangement))
        let parameters = StridedTensors(training.parameters, seed: 3)
        for seed in 0..<6 {
            let gradients = StridedTensors(training.gradients(seed), seed: UInt64(seed))
            let outcome = try expected.step(seed)
            let weight = Double(seed + 1)
            if seed.isMultiple(of: 3) {
                for gradient in gradients.tensors { try training.pipeline.receive(gradient, weight: weight) }
                let found = try TensorSet.withUnsafeTensors(parameters.tensors, layout: training.layout) {
                    (parameters) throws(DescentError) in try training.pipeline.step(&parameters)
                }
                #expect(found.details == outcome.details)
            } else {
                let found = try training.pipeline.step(
                    unsafeParameters: parameters.tensors, unsafeGradients: gradients.tensors, weight: weight)
                #expect(found.details == outcome.details)
            }
            training.parameters = parameters.set
            #expect(training.result == expected.result)
            #expect(gradients.gapsAreUntouched && parameters.gapsAreUntouched)
        }
    }

    @Test(arguments: Arrangement.all) func `gradients of several types count as what they stand for`(
        _ arrangement: Arrangement
    ) throws {
        var (expected, training) = (try Training(arrangement), try Training(arrangement))
        for seed in 0..<6 {
            let types: [ElementType] = [.float32, .float16, .bfloat16]
            let gradients = StridedTensors(training.gradients(seed), seed: 7, types)
            try expected.step(seed) { $0 = gradients.set }
            let layout = training.layout
            _ = try training.parameters.withUnsafeTensors { (parameters) throws(DescentError) in
                try training.pipeline.step(
                    unsafeParameters: parameters, unsafeGradients: gradients.tensors, weight: Double(seed + 1))
            }
            #expect(layout.elementCount > 0 && training.result == expected.result)
        }
    }

    @Test(
        arguments: InstructionSet.allCases.filter(\.isAvailable), [[48, 80], [5, 3_072], [300, 17], [3, 3, 40, 24]])
    func `matrices of all sizes are read in tiles, with the same bits`(
        _ instructions: InstructionSet, _ shape: [Int]
    ) throws {
        let layout = try ParameterLayout([
            ParameterDescription("first", shape: shape), ParameterDescription("last", shape: shape, outputAxis: .last),
        ])
        let backend = SIMDBackend(threads: 2, blockLength: 2_000, elementsPerThread: 64, instructionSet: instructions)
        let gradients = TensorSet.random(layout, seed: 1)
        for order in [Array(shape.indices), shape.indices.reversed(), Array(shape.indices.dropFirst()) + [0]] {
            for (gap, type) in [(0, .float32), (3, .bfloat16), (0, .float16)] as [(Int, ElementType)] {
                var parameters = TensorSet.random(layout, seed: 2)
                var expected = parameters
                func make() throws -> Pipeline {
                    try Pipeline(for: parameters, on: backend) {
                        Centralize(); ClipByGlobalNorm(1); ClipByNorm(0.5)
                    } driving: {
                        AdamW(learningRate: 0.01)
                    }
                }
                var (pipeline, plain) = (try make(), try make())
                let memory = layout.map {
                    StridedMemory(gradients[$0.name], shape: shape, order: order, gap: gap, type)
                }
                var gradients = gradients
                for (parameter, memory) in zip(layout, memory) { gradients[parameter.name] = memory.values }
                for _ in 0..<2 {
                    _ = try plain.step(&expected, gradients: gradients)
                    _ = try parameters.withUnsafeTensors { (parameters) throws(DescentError) in
                        try pipeline.step(
                            unsafeParameters: parameters,
                            unsafeGradients: zip(layout, memory).map { $1.tensor($0.name) })
                    }
                }
                #expect(parameters == expected)
                var chain = try Chain(for: layout, on: backend) { ClipByGlobalNorm(1) }
                let results = layout.map {
                    StridedMemory(gradients[$0.name], shape: shape, order: order, gap: gap, type)
                }
                _ = try withExtendedLifetime(memory) {
                    try chain.transform(
                        unsafeGradients: zip(layout, memory).map { $1.tensor($0.name) },
                        into: zip(layout, results).map { $1.tensor($0.name) })
                }
                _ = try chain.transform(&gradients)
                for (parameter, result) in zip(layout, results) {
                    #expect(result.values == gradients[parameter.name].map(type.rounded) && result.gapsAreUntouched)
                }
            }
        }
    }

    // MARK: Chains

    private func makeChain(_ layout: ParameterLayout) throws -> Chain {
        try Chain(for: layout, on: Arrangement.backend()) {
            Freeze(prefix: "layer1.bias")
            Unscale(.dynamic(initial: 4))
            Accumulate(steps: 2)
            Centralize()
            ClipByGlobalNorm(1)
        }
    }

    @Test(arguments: [false, true]) func `a chain transforms strided gradients where they lie, or into other memory`(
        _ isOutOfPlace: Bool
    ) throws {
        let layout = try #require(Arrangement.layout)
        var (chain, plain) = (try makeChain(layout), try makeChain(layout))
        for seed in 0..<6 as Range<UInt64> {
            var expected = TensorSet.random(layout, seed: seed)
            if seed == 3 { expected["layer0.bias"][2] = .infinity }
            let before = expected
            let gradients = StridedTensors(expected, seed: seed)
            let results = StridedTensors(TensorSet.random(layout, seed: 90), seed: seed + 9)
            let untouched = results.set
            let outcome = try plain.transform(&expected)
            let found =
                isOutOfPlace
                ? try chain.transform(unsafeGradients: gradients.tensors, into: results.tensors)
                : try chain.transform(unsafeGradients: gradients.tensors)
            #expect(found.details == outcome.details)
            #expect(outcome.isApplied == (seed == 1 || seed == 5))
            if isOutOfPlace {
                #expect(gradients.set == before)
                #expect(results.set == (outcome.isApplied ? expected : untouched))
            } else {
                #expect(gradients.set == expected)
            }
            #expect(gradients.gapsAreUntouched && results.gapsAreUntouched)
        }
    }

    @Test func `results are rounded to the type that each has`() throws {
        let layout = try #require(Arrangement.layout)
        let gradients = StridedTensors(TensorSet.random(layout, seed: 1), seed: 1, [.float32, .bfloat16, .float16])
        let results = layout.map {
            StridedMemory(
                [Float](repeating: 0, count: $0.count), shape: $0.shape, order: Array($0.shape.indices), .bfloat16)
        }
        var chain = try Chain(for: layout) { ClipByGlobalNorm(0.1) }
        var expected = gradients.set
        var plain = try Chain(for: layout) { ClipByGlobalNorm(0.1) }
        _ = try plain.transform(&expected)
        _ = try chain.transform(
            unsafeGradients: gradients.tensors, into: zip(layout, results).map { $1.tensor($0.name) })
        for (parameter, result) in zip(layout, results) {
            #expect(result.values == expected[parameter.name].map { Float(BFloat16($0)) })
        }
    }

    @Test func `stages that look at parameters are handed them`() throws {
        let layout = try makeLayout([[6, 4], [6]])
        let parameters = TensorSet.random(layout, seed: 1)
        let strided = StridedTensors(parameters, seed: 2)
        var (expected, gradients) = (TensorSet.random(layout, seed: 3), TensorSet.random(layout, seed: 3))
        var (chain, plain) = (
            try Chain(for: layout) { ClipAdaptively(factor: 0.1) },
            try Chain(for: layout) { ClipAdaptively(factor: 0.1) }
        )
        _ = try plain.transform(&expected, parameters: parameters)
        let results = StridedTensors(gradients, seed: 4)
        _ = try gradients.withUnsafeTensors { (gradients) throws(DescentError) in
            try chain.transform(
                unsafeGradients: gradients, into: results.tensors, unsafeParameters: strided.tensors)
        }
        #expect(results.set == expected)
        _ = try gradients.withUnsafeTensors { (gradients) throws(DescentError) in
            try chain.transform(unsafeGradients: gradients, unsafeParameters: strided.tensors)
        }
        #expect(gradients == expected)
        #expect(strided.set == parameters && strided.gapsAreUntouched)
    }

    /// Makes an infinity of finite numbers, as arithmetic of one's own can.
    struct Overflowing: GradientTransform {
        func transform(_ block: inout some GradientBlock) {
            block.withElements { elements in
                for index in elements.indices { elements[index] *= .greatestFiniteMagnitude }
            }
        }
    }

    @Test func `results that are not finite are written, and said to have diverged`() throws {
        let layout = try makeLayout([[3, 2]])
        let gradients = StridedTensors(try TensorSet(["layer0.weight": [0, 1, 2, 3, 4, 5]], layout: layout), seed: 1)
        let results = StridedTensors(TensorSet(zeros: layout), seed: 2)
        var chain = try Chain(for: layout) { Overflowing() }
        let outcome = try chain.transform(unsafeGradients: gradients.tensors, into: results.tensors)
        guard case .diverged = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(results.set["layer0.weight"].contains(.infinity))
        #expect(gradients.set["layer0.weight"] == [0, 1, 2, 3, 4, 5])
    }

    // MARK: Wrong input

    private static let wrong: [(strides: [Int], isWritten: Bool, words: String)] = [
        ([1], false, "one number of at least 0 is needed for each axis"), ([-1, 3], false, "one number of at least 0"),
        ([4, 1], false, "reach beyond the 12 elements"), ([Int.max, 1], false, "reach beyond the 12 elements"),
        ([1, Int.max], false, "reach beyond the 12 elements"), ([1, Int.max], true, "reach beyond the 12 elements"),
        ([0, 1], true, "elements share memory"), ([1, 2], true, "elements share memory"),
    ]

    @Test(arguments: wrong.indices) func `strides that cannot be are refused by name, before anything has changed`(
        _ index: Int
    ) throws {
        let (strides, isWritten, words) = Self.wrong[index]
        let layout = try makeLayout([[4, 3]])
        var chain = try Chain(for: layout) { Accumulate(steps: 2) }
        var (memory, result) = ([Float](repeating: 1, count: 12), [Float](repeating: 7, count: 12))
        let error = #expect(throws: DescentError.self) {
            try memory.withUnsafeMutableBufferPointer { memory in
                try result.withUnsafeMutableBufferPointer { result in
                    let strided = UnsafeTensor(
                        "layer0.weight", shape: [4, 3], strides: strides, isWritten ? result : memory)
                    let plain = UnsafeTensor("layer0.weight", isWritten ? memory : result)
                    _ = try chain.transform(
                        unsafeGradients: [isWritten ? plain : strided], into: [isWritten ? strided : plain])
                }
            }
        }
        #expect(error?.code == .invalidStrides)
        #expect(error?.parameter == "layer0.weight")
        #expect(error.map { "\($0)".contains(words) } ?? false, "\(error.map { "\($0)" } ?? "")")
        #expect(memory.allSatisfy { $0 == 1 } && result.allSatisfy { $0 == 7 })
        #expect(chain.window?.received == 0)
    }

    @Test func `an element may be repeated where it is only read`() throws {
        let layout = try makeLayout([[4, 3]])
        var chain = try Chain(for: layout) { Scale(by: 2) }
        var (row, result) = ([Float](arrayLiteral: 1, 2, 3), [Float](repeating: 0, count: 12))
        try row.withUnsafeMutableBufferPointer { row in
            try result.withUnsafeMutableBufferPointer { result in
                _ = try chain.transform(
                    unsafeGradients: [UnsafeTensor("layer0.weight", shape: [4, 3], strides: [0, 1], row)],
                    into: [UnsafeTensor("layer0.weight", result)])
            }
        }
        #expect(result == [2, 4, 6, 2, 4, 6, 2, 4, 6, 2, 4, 6])
    }

    @Test func `parameters whose strides cannot be are refused by name, too`() throws {
        let layout = try makeLayout([[4, 3]])
        var chain = try Chain(for: layout) { ClipAdaptively(factor: 0.1) }
        var memory = [Float](repeating: 1, count: 36)
        for strides in [[Int.max, 1], [1, Int.max], [-1, 1]] {
            let error = #expect(throws: DescentError.self) {
                try memory.withUnsafeMutableBufferPointer { memory in
                    func part(_ start: Int) -> UnsafeMutableBufferPointer<Float> {
                        UnsafeMutableBufferPointer(rebasing: memory[start..<start + 12])
                    }
                    let parameters = [UnsafeTensor("layer0.weight", shape: [4, 3], strides: strides, part(0))]
                    let gradients = [UnsafeTensor("layer0.weight", part(12))]
                    if strides[0] == 1 {
                        _ = try chain.transform(unsafeGradients: gradients, unsafeParameters: parameters)
                    } else {
                        _ = try chain.transform(
                            unsafeGradients: gradients, into: [UnsafeTensor("layer0.weight", part(24))],
                            unsafeParameters: parameters)
                    }
                }
            }
            #expect(error?.code == .invalidStrides)
        }
        #expect(memory.allSatisfy { $0 == 1 })
    }

    @Test func `results that share memory with gradients are refused`() throws {
        let layout = try makeLayout([[2], [2]])
        var chain = try Chain(for: layout) {}
        var memory = [Float](repeating: 1, count: 6)
        let error = #expect(throws: DescentError.self) {
            try memory.withUnsafeMutableBufferPointer { memory in
                func part(_ start: Int) -> UnsafeMutableBufferPointer<Float> {
                    UnsafeMutableBufferPointer(rebasing: memory[start..<start + 2])
                }
                _ = try chain.transform(
                    unsafeGradients: [UnsafeTensor("layer0.weight", part(0)), UnsafeTensor("layer0.bias", part(2))],
                    into: [UnsafeTensor("layer0.weight", part(3)), UnsafeTensor("layer0.bias", part(1))])
            }
        }
        #expect(error?.code == .sharedMemory)
    }
}
