import Descent
import TestSupport
import Testing

/// The largest elements are passed on, and the others remembered.
@Suite struct TopKTests {
    private let layout: ParameterLayout

    init() throws {
        layout = try ParameterLayout([
            ParameterDescription("dense", shape: [19, 23]),
            ParameterDescription("kernel", shape: [2, 5, 41], outputAxis: .last),
            ParameterDescription("empty", shape: [0]), ParameterDescription("bias", shape: [37]),
            ParameterDescription("gain", shape: []),
        ])
    }

    /// What the stage does to a tensor, by sorting its elements.
    private struct Model {
        var residuals: [[Float]]
        let share: Double

        init(_ layout: ParameterLayout, share: Double) {
            residuals = layout.map { [Float](repeating: 0, count: $0.count) }
            self.share = share
        }

        /// The places of a tensor's elements, row by row.
        static func places(_ parameter: ParameterDescription) -> [Int] {
            let (rows, columns) = (parameter.rowCount, parameter.columnCount)
            guard parameter.outputAxis == .last else { return Array(0..<parameter.count) }
            return (0..<rows).flatMap { row in (0..<columns).map { $0 * rows + row } }
        }

        mutating func pass(_ gradients: inout TensorSet) {
            for (index, parameter) in gradients.layout.enumerated() where parameter.count > 0 {
                var values = zip(gradients[parameter.name], residuals[index]).map { $0 + $1 }
                let count = max(1, Int((share * Double(parameter.count)).rounded()))
                // A stable sort: of equal elements those come first that lie first.
                let sorted = Self.places(parameter).sorted { first, second in
                    let (first, second) = (values[first].magnitude, values[second].magnitude)
                    return first.isNaN ? !second.isNaN : first > second
                }
                residuals[index] = values
                for place in sorted.prefix(count) { residuals[index][place] = 0 }
                for place in sorted.dropFirst(count) { values[place] = 0 }
                gradients[parameter.name] = values
            }
        }
    }

    /// Gradients of which many elements are equal.
    private func coarse(_ seed: UInt64) -> TensorSet {
        var tensors = TensorSet.random(layout, seed: seed)
        for parameter in layout { tensors[parameter.name] = tensors[parameter.name].map { ($0 * 3).rounded() / 4 } }
        return tensors
    }

    /// What a chain that begins with the stage holds back.
    private func residual(_ chain: Chain) throws -> TensorSet { try chain.state.components[0].slots[0].tensors }

    @Test(arguments: [0, 0.01, 0.1, 0.5, 0.77, 1], [1, 2]) func `passes on what a sort finds, and keeps the rest`(
        _ share: Double, _ threads: Int
    ) throws {
        let backend = SIMDBackend(threads: threads, blockLength: 32, elementsPerThread: 16)
        var chain = try Chain(for: layout, on: backend) { TopK(share: share) }
        var model = Model(layout, share: share)
        for seed in 1..<6 as Range<UInt64> {
            var gradients = seed.isMultiple(of: 2) ? TensorSet.random(layout, seed: seed) : coarse(seed)
            var expected = gradients
            #expect(try chain.transform(&gradients).isApplied)
            model.pass(&expected)
            #expect(gradients.arrays == expected.arrays)
            #expect(try residual(chain).arrays == model.residuals)
        }
    }

    @Test func `nothing of a gradient is lost`() throws {
        var chain = try Chain(for: layout) { TopK(share: 0.1) }
        let gradients = coarse(1)
        var (sum, sent) = (layout.map { [Float](repeating: 0, count: $0.count) }, TensorSet(zeros: layout).arrays)
        for _ in 0..<20 {
            var passed = gradients
            #expect(try chain.transform(&passed).isApplied)
            for (index, values) in gradients.arrays.enumerated() {
                for place in values.indices {
                    sum[index][place] += values[place]
                    sent[index][place] += passed.arrays[index][place]
                }
            }
        }
        let residuals = try residual(chain).arrays
        for index in layout.indices {
            #expect(zip(sent[index], residuals[index]).map { $0 + $1 } == sum[index])
        }
        #expect(sent != sum)
    }

    @Test(arguments: [[TopK(share: 0.2)], [TopK(share: 0.2), ClipByGlobalNorm(0.5)]] as [[any Stage]])
    func `the plain backend gives the same bits, whether a norm is measured behind it or not`(
        _ stages: [any Stage]
    ) throws {
        let start = TensorSet.random(layout, seed: 1)
        func train<Backend: TensorBackend>(
            on backend: Backend, _ tensors: (TensorSet) -> Backend.Tensors
        ) throws -> (parameters: Backend.Tensors, residual: Backend.Tensors) {
            var parameters = tensors(start)
            var pipeline = try GradientPipeline(for: parameters, on: backend) {
                stages
            } driving: {
                SGD(learningRate: 0.1)
            }
            for seed in 2..<7 as Range<UInt64> {
                #expect(try pipeline.step(&parameters, gradients: tensors(coarse(seed))).isApplied)
            }
            return (parameters, try #require(pipeline.slot(named: pipeline.slotNames[0])))
        }
        let plain = try train(on: PlainBackend(), PlainTensors.init)
        let fast = try train(on: SIMDBackend(threads: 2, blockLength: 32, elementsPerThread: 16), { $0 })
        if stages.count == 1 { #expect(plain.parameters.values == fast.parameters.arrays) }
        // The norm of a tensor in one block and that of many differ in their last bits.
        #expect(
            largestDifference(Array(plain.parameters.values.joined()), Array(fast.parameters.arrays.joined())) < 1e-6)
        #expect(plain.residual.values == fast.residual.arrays)
    }

    @Test func `NaN is passed on before all others, and not kept`() throws {
        let layout = try ParameterLayout([ParameterDescription("a", shape: [5])])
        var chain = try Chain(for: layout, configuration: .init(nonFinite: .propagate)) { TopK(share: 0.4) }
        var gradients = try TensorSet(["a": [1, .infinity, -.nan, 3, -.infinity]], layout: layout)
        _ = try chain.transform(&gradients)
        #expect(gradients["a"].map(\.isNaN) == [false, false, true, false, false])
        #expect(gradients["a"][1] == .infinity)
        #expect(try residual(chain)["a"] == [1, 0, 0, 3, -.infinity])
    }

    @Test func `a share can grow, and one out of range is refused or skips the step`() throws {
        let layout = try ParameterLayout([ParameterDescription("a", shape: [4])])
        var parameters = TensorSet(zeros: layout)
        var pipeline = try Pipeline(for: parameters) {
            TopK(share: .linear(initial: 0.25, end: 1, transitionSteps: 3))
        } driving: {
            SGD(learningRate: 1)
        }
        let gradients = try TensorSet(["a": [4, 3, 2, 1]], layout: layout)
        #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
        #expect(parameters["a"] == [-4, 0, 0, 0])
        #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
        // Of 4, 6, 4 and 2, two: the second, and the first of those that are equal.
        #expect(parameters["a"] == [-8, -6, 0, 0])
        for share in [-0.1, 1.5, .nan] {
            let error = #expect(throws: DescentError.self) { try Chain(for: layout) { TopK(share: share) } }
            #expect(error?.code == .invalidSetting)
            #expect(error?.message.contains("share") == true)
        }
    }

    @Test func `a skipped step keeps what was held back`() throws {
        var chain = try Chain(for: layout) { TopK(share: 0.3) }
        var gradients = TensorSet.random(layout, seed: 1)
        #expect(try chain.transform(&gradients).isApplied)
        let before = try residual(chain).bits
        gradients = TensorSet.random(layout, seed: 2)
        gradients["bias"][3] = .nan
        #expect(try !chain.transform(&gradients).isApplied)
        #expect(try residual(chain).bits == before)
    }

    @Test func `in front of an accumulation it is refused`() throws {
        let error = #expect(throws: DescentError.self) {
            try Chain(for: layout) {
                TopK(share: 0.1)
                Accumulate(steps: 2)
            }
        }
        #expect(error?.code == .stageOrder)
        #expect(error?.message.contains("works on whole tensors") == true)
    }

    @Test(arguments: [false, true]) func `a parameter that is thawed has nothing held back of before`(
        _ resumes: Bool
    ) throws {
        let layout = try ParameterLayout([
            ParameterDescription("a", shape: [4]), ParameterDescription("b", shape: [4]),
        ])
        var parameters = TensorSet(zeros: layout)
        func stages(freezing name: String) -> [any Stage] { [Freeze(prefix: name), TopK(share: 0.25)] }
        var pipeline = try Pipeline(for: parameters, { stages(freezing: "a") }, driving: { SGD(learningRate: 1) })
        func freeze(_ name: String) throws {
            guard resumes else { return try pipeline.change(Freeze.self) { $0.selection = .named(prefix: name) } }
            pipeline = try Pipeline(
                resuming: pipeline.state, for: parameters, { stages(freezing: name) },
                driving: { SGD(learningRate: 1) })
        }
        let gradients = try TensorSet(["a": [4, 3, 2, 1], "b": [4, 3, 2, 1]], layout: layout)
        let zero = TensorSet(zeros: layout)
        _ = try pipeline.step(&parameters, gradients: gradients)
        try freeze("b")
        _ = try pipeline.step(&parameters, gradients: zero)
        try freeze("a")
        _ = try pipeline.step(&parameters, gradients: zero)
        #expect(parameters["b"] == [-4, 0, 0, 0])
    }
}
