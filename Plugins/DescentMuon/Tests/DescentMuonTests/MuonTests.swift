import Descent
import DescentMuon
import DescentTestKit
import SeededNumbers
import Testing

@Suite struct MuonTests {
    /// Two matrices, one of them tall, and two parameters that are none.
    private static let shapes: [(String, [Int])] = [
        ("fc1.weight", [6, 9]), ("fc1.bias", [6]), ("fc2.weight", [20, 3]), ("kernel", [2, 3, 2]),
    ]

    private func makeLayout(_ axis: OutputAxis = .first) throws -> ParameterLayout {
        try ParameterLayout(Self.shapes.map { try ParameterDescription($0.0, shape: $0.1, outputAxis: axis) })
    }

    private func randomTensors(_ layout: ParameterLayout, seed: UInt64) -> TensorSet {
        var generator = SeededGenerator(seed: seed)
        var tensors = TensorSet(zeros: layout)
        for parameter in layout {
            tensors[parameter.name] = (0..<parameter.count).map { _ in generator.normal() }
        }
        return tensors
    }

    private func makePipeline(
        for parameters: TensorSet, threads: Int = 2, @DrivingBuilder _ driving: () -> [OptimizerBranch]
    ) throws -> Pipeline {
        let branches = driving()
        return try Pipeline(for: parameters, on: SIMDBackend(threads: threads)) {
        } driving: {
            branches
        }
    }

    /// The parameters after steps with random gradients.
    private func trained(
        from parameters: TensorSet, steps: Range<Int> = 0..<5, _ pipeline: inout Pipeline
    ) throws -> TensorSet {
        var parameters = parameters
        for step in steps {
            _ = try pipeline.step(&parameters, gradients: randomTensors(parameters.layout, seed: UInt64(100 + step)))
        }
        return parameters
    }

    private func expectSameBits(_ left: TensorSet, _ right: TensorSet, _ names: [String]? = nil) {
        for name in names ?? left.layout.map(\.name) {
            #expect(left[name].map(\.bitPattern) == right[name].map(\.bitPattern), "\(name)")
        }
    }

    @Test func `other parameters are moved by the other optimizer, to the bit`() throws {
        let parameters = randomTensors(try makeLayout(), seed: 1)
        var muon = try makePipeline(for: parameters) { Muon(others: AdamW(learningRate: 0.01)) }
        var adamW = try makePipeline(for: parameters) { AdamW(learningRate: 0.01) }
        let (found, expected) = (try trained(from: parameters, &muon), try trained(from: parameters, &adamW))
        expectSameBits(found, expected, ["fc1.bias", "kernel"])
        #expect(found["fc1.weight"] != expected["fc1.weight"])
    }

    @Test func `an optimizer behind it does what others would`() throws {
        let parameters = randomTensors(try makeLayout(), seed: 1)
        var one = try makePipeline(for: parameters) { Muon(others: AdamW(learningRate: 0.01)) }
        var two = try Pipeline(for: parameters) {
        } driving: {
            Muon()
            AdamW(learningRate: 0.01)
        }
        expectSameBits(try trained(from: parameters, &one), try trained(from: parameters, &two))
    }

    @Test func `a parameter that nothing takes is refused by name`() throws {
        let error = #expect(throws: DescentError.self) {
            try makePipeline(for: TensorSet(zeros: makeLayout())) { Muon() }
        }
        #expect(error?.parameter == "fc1.bias")
    }

    @Test func `a model without matrices needs others alone`() throws {
        let parameters = TensorSet(zeros: try ParameterLayout([ParameterDescription("bias", shape: [3])]))
        _ = try makePipeline(for: parameters) { Muon(others: AdamW()) }
        #expect(throws: DescentError.self) {
            try makePipeline(for: parameters) {
                Muon(); AdamW()
            }
        }
    }

    @Test func `kernels of convolutions are matrices of their output units, where that is asked for`() throws {
        let parameters = randomTensors(try makeLayout(), seed: 1)
        var pipeline = try makePipeline(for: parameters) { Muon(ranks: 2...4, others: SGD(learningRate: 1)) }
        let kernel = try trained(from: parameters, &pipeline)["kernel"]

        func flat(_ tensors: TensorSet) throws -> TensorSet {
            try TensorSet(
                ["kernel": tensors["kernel"]], layout: ParameterLayout([ParameterDescription("kernel", shape: [2, 6])]))
        }
        var matrix = try flat(parameters)
        var same = try makePipeline(for: matrix) { Muon() }
        for step in 0..<5 {
            _ = try same.step(&matrix, gradients: flat(randomTensors(parameters.layout, seed: UInt64(100 + step))))
        }
        #expect(kernel == matrix["kernel"])
    }

    @Test func `a description says all that a pipeline was made of`() throws {
        let parameters = randomTensors(try makeLayout(), seed: 1)
        let catalog = Catalog.standard.adding(Muon.self)
        let optimizer = Muon(
            learningRate: .warmupCosine(peak: 0.1, warmup: 2, total: 9), momentum: 0.9, nesterov: false,
            weightDecay: 0.1, newtonSchulz: NewtonSchulz(iterations: 3, linear: 2, epsilon: 0), ranks: 2...3,
            groups: [.named(prefix: "fc2").setting(momentum: 0.5)], others: AdamW(learningRate: 0.01))
        var pipeline = try makePipeline(for: parameters) { optimizer }
        let text = try pipeline.pipelineDescription.text(catalog)
        var same = try Pipeline(for: parameters, PipelineDescription(parsing: text, catalog))
        #expect(try same.pipelineDescription.text(catalog) == text)
        expectSameBits(try trained(from: parameters, &pipeline), try trained(from: parameters, &same))
    }

    @Test func `slots exist where they are used`() throws {
        let pipeline = try makePipeline(for: TensorSet(zeros: makeLayout())) { Muon(others: AdamW()) }
        let momentum = try #require(pipeline.slot(named: "Muon.momentum"))
        #expect(momentum["fc1.weight"].count == 54)
        #expect(momentum["fc1.bias"].isEmpty)
    }

    @Test func `a step goes as far as its rate says, in all directions alike`() throws {
        let layout = try ParameterLayout([ParameterDescription("tall", shape: [40, 10])])
        var parameters = TensorSet(zeros: layout)
        var pipeline = try makePipeline(for: parameters) { Muon(learningRate: 0.5) }
        _ = try pipeline.step(&parameters, gradients: randomTensors(layout, seed: 2))
        // Ten singular values near 1, times sqrt(40 / 10), times the rate.
        let norm = parameters["tall"].reduce(0) { $0 + $1 * $1 }.squareRoot()
        #expect((0.7...1.2).contains(norm / (0.5 * 2 * Float(10).squareRoot())))
    }

    @Test func `output units that are last are rows too`() throws {
        let parameters = randomTensors(try makeLayout(), seed: 1)
        var pipeline = try makePipeline(for: parameters) { Muon(weightDecay: 0.1, others: SGD(learningRate: 1)) }
        let gradients = randomTensors(parameters.layout, seed: 3)
        var moved = parameters
        _ = try pipeline.step(&moved, gradients: gradients)

        func transposed(_ tensors: TensorSet) throws -> TensorSet {
            let layout = try ParameterLayout([
                ParameterDescription("fc1.weight", shape: [9, 6], outputAxis: .last),
                ParameterDescription("fc2.weight", shape: [3, 20], outputAxis: .last),
            ])
            var result = TensorSet(zeros: layout)
            for parameter in layout {
                let (columns, rows) = (parameter.shape[0], parameter.shape[1])
                let elements = tensors[parameter.name]
                result[parameter.name] = (0..<columns * rows).map { elements[$0 % rows * columns + $0 / rows] }
            }
            return result
        }
        var other = try transposed(parameters)
        var same = try makePipeline(for: other) { Muon(weightDecay: 0.1) }
        _ = try same.step(&other, gradients: transposed(gradients))
        expectSameBits(other, try transposed(moved))
    }

    @Test func `a gradient of zeros moves nothing but by weight decay`() throws {
        let parameters = randomTensors(try makeLayout(), seed: 1)
        let zeros = TensorSet(zeros: parameters.layout)
        for (decay, factor) in [(Float(0), Float(1)), (0.5, 0.95)] {
            var moved = parameters
            var pipeline = try Pipeline(for: parameters) {
            } driving: {
                Muon(learningRate: 0.1, weightDecay: decay, others: SGD(learningRate: 1))
            }
            _ = try pipeline.step(&moved, gradients: zeros)
            for name in ["fc1.weight", "fc2.weight"] {
                for (element, before) in zip(moved[name], parameters[name]) {
                    #expect(abs(element - before * factor) <= 1e-6 * abs(before))
                }
            }
        }
    }

    @Test(arguments: [[0, 4], [4, 0], [1, 1], [1, 5], [5, 1]])
    func `matrices of no element, one, one row and one column are ordinary`(_ shape: [Int]) throws {
        let layout = try ParameterLayout([ParameterDescription("weight", shape: shape)])
        var parameters = TensorSet(zeros: layout)
        var pipeline = try makePipeline(for: parameters) { Muon() }
        for step in 0..<3 {
            let outcome = try pipeline.step(&parameters, gradients: randomTensors(layout, seed: UInt64(step)))
            guard case .applied = outcome else { return #expect(Bool(false), "\(outcome)") }
        }
        #expect(parameters["weight"].allSatisfy { $0.isFinite && $0 != 0 })
    }

    @Test(arguments: [Float.nan, .infinity])
    func `a gradient that is not finite is skipped, and changes nothing`(_ element: Float) throws {
        let parameters = randomTensors(try makeLayout(), seed: 1)
        func pipeline() throws -> Pipeline {
            try Pipeline(for: parameters, configuration: .init(nonFinite: .skip)) {
            } driving: {
                Muon(others: AdamW())
            }
        }
        var (disturbed, undisturbed) = (try pipeline(), try pipeline())
        let before = try trained(from: parameters, steps: 0..<2, &disturbed)
        var after = before
        var gradients = randomTensors(parameters.layout, seed: 9)
        gradients["fc2.weight"][7] = element
        guard case .skipped = try disturbed.step(&after, gradients: gradients) else {
            Issue.record("the step was not skipped")
            return
        }
        expectSameBits(after, before)
        _ = try trained(from: parameters, steps: 0..<2, &undisturbed)
        expectSameBits(
            try trained(from: after, steps: 2..<5, &disturbed), try trained(from: before, steps: 2..<5, &undisturbed))
    }

    @Test func `a run goes on from its state with the same bits`() throws {
        let parameters = randomTensors(try makeLayout(), seed: 1)
        func optimizer() -> Muon { Muon(weightDecay: 0.1, others: AdamW()) }
        var whole = try makePipeline(for: parameters) { optimizer() }
        let expected = try trained(from: parameters, steps: 0..<6, &whole)
        var first = try makePipeline(for: parameters) { optimizer() }
        let half = try trained(from: parameters, steps: 0..<3, &first)
        var second = try Pipeline(resuming: first.state, for: half) {
        } driving: {
            optimizer()
        }
        expectSameBits(try trained(from: half, steps: 3..<6, &second), expected)
    }

    @Test func `the number of threads of the backend makes no difference`() throws {
        let layout = try ParameterLayout(
            (0..<5).map { try ParameterDescription("matrix\($0)", shape: [100, 60 + $0]) })
        let parameters = randomTensors(layout, seed: 1)
        var results: [TensorSet] = []
        for threads in [1, 2, 5] {
            var pipeline = try makePipeline(for: parameters, threads: threads) { Muon() }
            results.append(try trained(from: parameters, &pipeline))
        }
        for result in results { expectSameBits(result, results[0]) }
    }

    @Test func `a group has its own momentum`() throws {
        let parameters = randomTensors(try makeLayout(), seed: 1)
        func result(_ optimizer: Muon) throws -> TensorSet {
            var pipeline = try makePipeline(for: parameters) { optimizer }
            return try trained(from: parameters, &pipeline)
        }
        let grouped = try result(
            Muon(groups: [.named(prefix: "fc2").setting(momentum: 0.5, nesterov: false)], others: AdamW()))
        expectSameBits(grouped, try result(Muon(others: AdamW())), ["fc1.weight"])
        expectSameBits(grouped, try result(Muon(momentum: 0.5, nesterov: false, others: AdamW())), ["fc2.weight"])
    }

    @Test func `momentum and weight decay can be schedules`() throws {
        let parameters = randomTensors(try makeLayout(), seed: 1)
        func result(_ optimizer: Muon) throws -> TensorSet {
            var pipeline = try makePipeline(for: parameters) { optimizer }
            return try trained(from: parameters, steps: 0..<3, &pipeline)
        }
        let constant = try result(Muon(momentum: 0.5, weightDecay: 0.25, others: AdamW()))
        let same = try result(
            Muon(
                momentum: Schedule.custom("half") { _ in 0.5 },
                weightDecay: Schedule.custom("quarter") { @Sendable _ in 0.25 },
                others: AdamW()))
        expectSameBits(constant, same)
        let rising = try result(
            Muon(momentum: .linear(initial: 0.5, end: 0.9, transitionSteps: 2), weightDecay: 0.25, others: AdamW()))
        #expect(rising["fc1.weight"] != constant["fc1.weight"])
    }

    @Test func `a momentum that leaves its range costs the step`() throws {
        let before = randomTensors(try makeLayout(), seed: 1)
        var parameters = before
        var pipeline = try makePipeline(for: parameters) {
            Muon(momentum: Schedule.custom("too much") { _ in 1 }, others: AdamW())
        }
        guard case .skipped(let reason) = try pipeline.step(&parameters, gradients: before) else {
            Issue.record("the step was not skipped")
            return
        }
        #expect("\(reason)".contains("momentum is 1.0 after 0 applied steps"), "\(reason)")
        expectSameBits(parameters, before)
    }

    @Test(arguments: [
        Muon(learningRate: -1), Muon(momentum: 1), Muon(momentum: -0.1), Muon(momentum: Double.nan),
        Muon(weightDecay: -1), Muon(ranks: 1...2), Muon(newtonSchulz: NewtonSchulz(iterations: 0)),
        Muon(newtonSchulz: NewtonSchulz(linear: .nan)), Muon(newtonSchulz: NewtonSchulz(cubic: .infinity)),
        Muon(newtonSchulz: NewtonSchulz(quintic: .nan)), Muon(newtonSchulz: NewtonSchulz(epsilon: -1)),
    ]) func `settings out of range are refused`(_ optimizer: Muon) throws {
        let layout = try ParameterLayout([ParameterDescription("weight", shape: [2, 2])])
        let error = #expect(throws: DescentError.self) {
            try makePipeline(for: TensorSet(zeros: layout)) { optimizer }
        }
        #expect(error?.message.contains("Muon") == true)
    }

    @Test func `stages can stand behind it`() throws {
        let layout = try ParameterLayout([ParameterDescription("weight", shape: [5, 8])])
        let parameters = randomTensors(layout, seed: 1)
        var scaled = try makePipeline(for: parameters) { Muon(learningRate: 0.5).then { Scale(by: 0.25) } }
        var slow = try makePipeline(for: parameters) { Muon(learningRate: 0.125) }
        let (found, expected) = (try trained(from: parameters, &scaled), try trained(from: parameters, &slow))
        for (left, right) in zip(found["weight"], expected["weight"]) { #expect(abs(left - right) < 1e-6) }
    }

    /// OpenBLAS allocates when it multiplies on several threads.
    @Test func `the engine can rely on it`() { verify(Muon(others: AdamW()), declaring: .allocates) }
}
