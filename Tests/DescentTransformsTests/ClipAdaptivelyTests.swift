import Descent
import TestSupport
import Testing

/// Clipping each unit by the size of the unit, against the formula in Double.
@Suite struct ClipAdaptivelyTests {
    let layout: ParameterLayout
    let parameters: TensorSet
    let gradients: TensorSet

    init() throws {
        layout = try ParameterLayout([
            ParameterDescription("fc.weight", shape: [12, 7]), ParameterDescription("fc.bias", shape: [300]),
            ParameterDescription("conv.weight", shape: [5, 3, 2, 2]), ParameterDescription("gain", shape: []),
            ParameterDescription("one", shape: [9, 1]), ParameterDescription("thin", shape: [1, 1, 40]),
            ParameterDescription("last", shape: [1, 30, 1], outputAxis: .last),
            ParameterDescription("empty", shape: [4, 0]),
            ParameterDescription("head.weight", shape: [3, 8]), ParameterDescription("head.bias", shape: [3]),
        ])
        var (parameters, gradients) = (TensorSet.random(layout, seed: 1), TensorSet.random(layout, seed: 2))
        // Rows from far below the limit to far above it; units and a vector of zeros; a unit without a gradient.
        for name in ["fc.weight", "conv.weight"] {
            gradients.withMutableElements(of: name) { elements in
                for index in elements.indices { elements[index] *= [0.01, 0.3, 1, 30, 0][index / 12 % 5] }
            }
            parameters.withMutableElements(of: name) { elements in
                for index in 0..<14 { elements[index] = 0 }
            }
        }
        parameters["head.bias"] = [0, 0, 0]
        (self.parameters, self.gradients) = (parameters, gradients)
    }

    private func norm(_ values: some Sequence<Float>) -> Double {
        values.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    }

    private func definition(
        factor: Double, epsilon: Double = 1e-3, excluding isExcluded: (String) -> Bool = { _ in false }
    ) -> [[Double]] {
        layout.map { parameter in
            let (gradient, values) = (gradients[parameter.name], parameters[parameter.name])
            if isExcluded(parameter.name) || gradient.isEmpty { return gradient.map { Double($0) } }
            let unit = parameter.shape.count { $0 != 1 } <= 1 ? gradient.count : parameter.columnCount
            return stride(from: 0, to: gradient.count, by: unit).flatMap { start -> [Double] in
                let row = start..<start + unit
                let limit = factor * max(norm(values[row]), epsilon)
                let size = norm(gradient[row])
                return gradient[row].map { Double($0) * (size < limit ? 1 : limit / max(size, 1e-6)) }
            }
        }
    }

    private func expectClose(_ tensors: TensorSet, _ expected: [[Double]]) {
        for (parameter, expected) in zip(layout, expected) {
            #expect(largestDifference(tensors[parameter.name], expected) < 1e-6, "\(parameter.name)")
        }
    }

    @Test(arguments: [0.01, 0.5, 3] as [Float], [16, 64, 16_384])
    func `each row, and each vector as a whole, is clipped by its own size`(
        _ factor: Float, _ blockLength: Int
    ) throws {
        var transformed = gradients
        let backend = SIMDBackend(threads: 2, blockLength: blockLength, elementsPerThread: 64)
        var chain = try Chain(for: layout, on: backend) { ClipAdaptively(factor: factor) }
        #expect(try chain.transform(&transformed, parameters: parameters).isApplied)
        expectClose(transformed, definition(factor: Double(factor)))
        #expect(transformed.bits != gradients.bits)
    }

    /// Optax's `unitwise_norm` takes a tensor that has at most one dimension once it is squeezed as a whole.
    @Test func `a tensor with one extent that is not 1 is one unit, as in Optax`() throws {
        let layout = try ParameterLayout([
            ParameterDescription("first", shape: [3, 1]),
            ParameterDescription("last", shape: [3, 1], outputAxis: .last),
            ParameterDescription("conv", shape: [3, 1, 1, 1]), ParameterDescription("row", shape: [1, 3]),
            ParameterDescription("single", shape: [1, 1]),
        ])
        var (parameters, gradients) = (TensorSet(zeros: layout), TensorSet(zeros: layout))
        for parameter in layout {
            parameters[parameter.name] = (0..<parameter.count).map { [3, 4, 12][$0] }
            gradients[parameter.name] = (0..<parameter.count).map { [0.01, 1, -1][$0] }
        }
        var chain = try Chain(for: layout) { ClipAdaptively(factor: 0.01) }
        #expect(try chain.transform(&gradients, parameters: parameters).isApplied)
        // 0.01 * 13 / |g| of each element.
        for name in ["first", "last", "conv", "row"] {
            #expect(
                largestDifference(gradients[name], [0.000919215835, 0.0919215835, -0.0919215835]) < 1e-8, "\(name)")
        }
        #expect(largestDifference(gradients["single"], [0.01]) < 1e-8)
    }

    @Test func `excluded parameters are left alone, bit for bit`() throws {
        var transformed = gradients
        var chain = try Chain(for: layout) {
            ClipAdaptively(factor: 0.02, epsilon: 0.1) { $0.name.hasPrefix("head.") || $0.name == "fc.bias" }
        }
        #expect(try chain.transform(&transformed, parameters: parameters).isApplied)
        expectClose(
            transformed, definition(factor: 0.02, epsilon: 0.1) { $0.hasPrefix("head.") || $0 == "fc.bias" })
        for name in ["head.weight", "head.bias", "fc.bias"] { #expect(transformed[name] == gradients[name]) }
    }

    @Test func `it sees the gradient as earlier stages leave it`() throws {
        var transformed = gradients
        for parameter in layout { transformed[parameter.name] = gradients[parameter.name].map { $0 * 8 } }
        var chain = try Chain(for: layout) {
            Unscale(.static(8))
            ClipAdaptively(factor: 0.1)
        }
        #expect(try chain.transform(&transformed, parameters: parameters).isApplied)
        expectClose(transformed, definition(factor: 0.1))
    }

    @Test func `parameters of rank 2 and more alone cost no measuring of norms`() throws {
        func sweeps(_ shapes: [[Int]], excluding isExcluded: @escaping @Sendable (ParameterDescription) -> Bool) throws
            -> Int
        {
            try Chain(for: makeLayout(shapes), configuration: .init(nonFinite: .propagate)) {
                ClipAdaptively(excluding: isExcluded)
            }.sweepCount
        }
        #expect(try sweeps([[3, 4]]) { _ in false } == 1)
        #expect(try sweeps([[3, 4], [3]]) { _ in false } == 2)
        #expect(try sweeps([[3, 4], [3]]) { $0.rank == 1 } == 1)
    }

    @Test func `a chain that is not given the parameters is refused, and nothing has changed`() throws {
        for isExcluded: @Sendable (ParameterDescription) -> Bool in [{ _ in false }, { $0.rank <= 1 }] {
            var transformed = gradients
            var chain = try Chain(for: layout) {
                Accumulate(steps: 2)
                ClipAdaptively(excluding: isExcluded)
            }
            let error = #expect(throws: DescentError.self) { try chain.transform(&transformed) }
            #expect(error?.code == .missingParameter)
            #expect(error?.stage == "ClipAdaptively(factor: 0.01)")
            #expect(
                error?.message == """
                    ClipAdaptively(factor: 0.01) looks at the parameters, which were not handed over. Give the call \
                    `parameters:`, or with external memory `unsafeParameters:`; a HostOptimizer lends them in \
                    withUnsafeParameters(of:_:).
                    """)
            #expect(transformed.bits == gradients.bits)
            if case .accumulated(let window) = try chain.transform(&transformed, parameters: parameters) {
                #expect(window.received == 1)
            } else {
                Issue.record("the refused micro-batch became part of the window")
            }
        }
    }

    @Test(arguments: [0, -1, Float.nan, .infinity]) func `settings have to be finite and above zero`(
        _ value: Float
    ) throws {
        for stage in [ClipAdaptively(factor: value), ClipAdaptively(epsilon: value)] {
            let error = #expect(throws: DescentError.self) { try Chain(for: layout) { stage } }
            #expect(error?.code == .invalidSetting)
        }
    }
}
