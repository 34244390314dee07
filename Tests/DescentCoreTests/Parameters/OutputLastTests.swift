import Descent
import TestSupport
import Testing

/// Brings every row to a norm of 1: a stage of one's own that knows rows and columns, and nothing of their place.
private struct UnitRows: GradientTransform {
    func transform(_ block: inout some GradientBlock) {
        let (rows, columns) = (block.rowCount, block.columnCount)
        block.withElements { elements in
            for row in 0..<rows {
                let indices = row * columns..<(row + 1) * columns
                var squares: Float = 0
                for index in indices { squares += elements[index] * elements[index] }
                for index in indices { elements[index] /= squares.squareRoot() + 1e-3 }
            }
        }
    }
}

/// Subtracts the projection of each row on the parameter's row.
private struct Orthogonalize: GradientTransform {
    var requirements: [Requirement] { [.parameters] }

    func transform(_ block: inout some GradientBlock) {
        let (rows, columns) = (block.rowCount, block.columnCount)
        block.withElements { (elements: inout MutableSpan<Float>, parameters: Span<Float>) in
            for row in 0..<rows {
                let indices = row * columns..<(row + 1) * columns
                var (product, squares): (Float, Float) = (0, 1e-3)
                for index in indices {
                    product += elements[index] * parameters[index]
                    squares += parameters[index] * parameters[index]
                }
                for index in indices { elements[index] -= product / squares * parameters[index] }
            }
        }
    }
}

/// Keeps the mean of rows, in each of their elements, in a slot of any element type, and takes it out.
private struct SlowCentering: GradientTransform {
    let elementType: ElementType

    var slots: [Slot] { [Slot("mean", elementType)] }

    func transform(_ block: inout some GradientBlock) {
        let (rows, columns) = (block.rowCount, block.columnCount)
        block.withElementsAndSlot { elements, slot in
            for row in 0..<rows {
                let indices = row * columns..<(row + 1) * columns
                var mean: Float = 0
                for index in indices { mean += elements[index] / Float(columns) }
                for index in indices {
                    slot[index] = 0.5 * slot[index] + 0.5 * mean
                    elements[index] -= slot[index]
                }
            }
        }
    }
}

/// Parameters whose output unit is the last dimension: all happens to them as to their transposes.
@Suite struct OutputLastTests {
    static let units = [1, 15, 16, 17, 40]

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let stages: @Sendable () -> [any Stage]
        let optimizer: any Driving
        let tolerance: Double
        let elementType: ElementType

        init(
            _ name: String, _ stages: @escaping @Sendable () -> [any Stage] = { [] },
            driving optimizer: any Driving = SGD(learningRate: 0.5), tolerance: Double = 1e-5,
            gradients elementType: ElementType = .float32
        ) {
            testDescription = name
            self.stages = stages
            self.optimizer = optimizer
            self.tolerance = tolerance
            self.elementType = elementType
        }
    }

    static let cases: [Case] = [
        Case("centralize", { [Centralize()] }),
        Case("adaptive clip", { [ClipAdaptively(factor: 0.1)] }),
        Case("scaled and adaptive clip", { [Scale(by: 3), Centralize(), ClipAdaptively(factor: 0.2)] }),
        Case("clip by norm", { [ClipByNorm(0.5)] }),
        Case("centralize and clip", { [Centralize(), ClipByGlobalNorm(0.5)] }),
        Case("centralize and L1", { [Scale(by: 2), Centralize(), ClipByGlobalNorm(0.5, norm: .l1)] }),
        Case("value between means", { [Centralize(), ClipByValue(-0.1...0.3), Centralize(), ClipByNorm(1)] }),
        Case("accumulate", { [Centralize(), Accumulate(steps: 2), Centralize(), ClipByGlobalNorm(0.5)] }),
        Case("noise", { [AddNoise(seed: 5), Centralize()] }),
        Case("rows of one's own", { [UnitRows(), ClipByGlobalNorm(0.5)] }),
        Case("rows of parameters", { [Centralize(), Orthogonalize(), ClipByGlobalNorm(0.5)] }),
        Case("slot of one's own", { [SlowCentering(elementType: .float32), ClipByGlobalNorm(0.5)] }),
        Case(
            "bfloat16 slot", { [SlowCentering(elementType: .bfloat16), ClipByGlobalNorm(0.5)] }, tolerance: 0.01),
        Case("AdamW", { [Centralize()] }, driving: AdamW(learningRate: 0.01, epsilon: 1e-3)),
        Case("AMSGrad", driving: Adam(learningRate: 0.01, weightDecay: 0.1, amsgrad: true)),
        Case("momentum", { [Centralize()] }, driving: SGD(learningRate: 0.1, momentum: 0.9, nesterov: true)),
        Case("RMSProp", driving: RMSProp(momentum: 0.9, centered: true)),
        Case("LAMB", { [Centralize()] }, driving: LAMB(learningRate: 0.1, epsilon: 1e-3, weightDecay: 0.1)),
        Case("averaging", { [Centralize()] }, driving: Adagrad(epsilon: 1e-3).averagingParameters(decay: 0.5)),
        Case("lookahead", driving: SGD(learningRate: 0.1).lookingAhead(synchronizationPeriod: 2)),
        Case("float16 gradients", { [Centralize(), ClipByGlobalNorm(0.5)] }, gradients: .float16),
        Case(
            "bfloat16 gradients", { [Unscale(.static(8)), ClipAdaptively(factor: 0.1), UnitRows()] },
            driving: AdamW(learningRate: 0.01, epsilon: 1e-3), gradients: .bfloat16),
    ]

    /// Dense (in, out) and convolutional (h, w, in, out) kernels, or the same with the output unit in front.
    private func makeLayout(_ axis: OutputAxis) throws -> ParameterLayout {
        var parameters: [ParameterDescription] = []
        for units in Self.units {
            for (name, lines) in [("dense", [5]), ("conv", [2, 2, 3])] {
                parameters.append(
                    try ParameterDescription(
                        "\(name)\(units).kernel", shape: axis == .last ? lines + [units] : [units] + lines,
                        outputAxis: axis))
            }
            parameters.append(try ParameterDescription("dense\(units).bias", shape: [units], outputAxis: axis))
        }
        return try ParameterLayout(parameters)
    }

    /// The same tensors with the last dimension in front.
    private func transposed(_ tensors: TensorSet, into layout: ParameterLayout) -> TensorSet {
        var result = TensorSet(zeros: layout)
        for parameter in tensors.layout {
            let values = tensors[parameter.name]
            let (units, lines) = (parameter.rowCount, parameter.columnCount)
            result[parameter.name] = (0..<values.count).map { values[$0 % lines * units + $0 / lines] }
        }
        return result
    }

    /// Parameters and slots after a few steps.
    private func train(
        _ layout: ParameterLayout, _ test: Case, on backend: SIMDBackend, _ tensors: (UInt64) -> TensorSet
    ) throws -> [TensorSet] {
        var parameters = tensors(7)
        var pipeline = try Pipeline(for: parameters, on: backend, test.stages) { test.optimizer }
        for step in 0..<4 {
            let values = tensors(UInt64(step) + 100)
            var gradients = TensorSet(zeros: layout, test.elementType)
            for name in layout.map(\.name) { gradients[name] = values[name] }
            _ = try pipeline.step(&parameters, gradients: gradients)
        }
        #expect(pipeline.appliedSteps > 0)
        return try [parameters] + pipeline.slotNames.map { try #require(pipeline.slot(named: $0)) }
    }

    @Test(arguments: cases) func `units in the last dimension fare like units in the first, at any number of threads`(
        _ test: Case
    ) throws {
        let (last, first) = (try makeLayout(.last), try makeLayout(.first))
        func backend(_ threads: Int) -> SIMDBackend {
            SIMDBackend(threads: threads, blockLength: 64, elementsPerThread: 64)
        }
        let found = try train(last, test, on: backend(1)) { .random(last, seed: $0) }
        let expected = try train(first, test, on: SIMDBackend(threads: 1)) {
            transposed(.random(last, seed: $0), into: first)
        }
        for (found, expected) in zip(found, expected) {
            for parameter in first {
                let (units, lines) = (parameter.rowCount, parameter.columnCount)
                let (found, expected) = (found[parameter.name], expected[parameter.name])
                let back = expected.indices.map { expected[$0 % units * lines + $0 / units] }
                #expect(largestDifference(found, back) <= test.tolerance, "\(parameter.name)")
            }
        }
        let threaded = try train(last, test, on: backend(3)) { .random(last, seed: $0) }
        #expect(threaded.map(\.bits) == found.map(\.bits))
    }

    @Test func `a block takes whole vectors of units, however short blocks are to be`() throws {
        let layout = try ParameterLayout([
            ParameterDescription("a", shape: [100, 40], outputAxis: .last),
            ParameterDescription("b", shape: [2, 40], outputAxis: .last),
        ])
        let rows = SIMDBackend(threads: 1, blockLength: 64).blocks(of: layout).map(\.rows)
        #expect(rows == [0..<16, 16..<32, 32..<40, 0..<32, 32..<40])
    }

    @Test func `rows and columns are those of the output unit`() throws {
        let kernel = try ParameterDescription("conv", shape: [3, 4, 5, 6], outputAxis: .last)
        #expect([kernel.rowCount, kernel.columnCount] == [6, 60])
        let bias = try ParameterDescription("bias", shape: [6], outputAxis: .last)
        #expect([bias.rowCount, bias.columnCount] == [6, 1])
        #expect(bias.outputAxis == .first)
        let scalar = try ParameterDescription("gain", shape: [], outputAxis: .last)
        #expect([scalar.rowCount, scalar.columnCount, scalar.count] == [1, 1, 1])
        let empty = try ParameterDescription("empty", shape: [0, 3], outputAxis: .last)
        #expect([empty.rowCount, empty.columnCount, empty.count] == [3, 0, 0])
    }

    @Test func `gradients with another output dimension than the parameters are refused by name`() throws {
        var parameters = try TensorSet([ParameterDescription("w", shape: [3, 3], outputAxis: .last)])
        let gradients = try TensorSet([ParameterDescription("w", shape: [3, 3])])
        var pipeline = try Pipeline(for: parameters) {
        } driving: {
            SGD(learningRate: 1)
        }
        let error = #expect(throws: DescentError.self) { try pipeline.step(&parameters, gradients: gradients) }
        #expect(error?.code == .shapeMismatch)
        #expect(error?.parameter == "w")
    }
}
