import Descent
import TestSupport
import Testing

// Two hosts, each of a shape that exists in the field.

/// A host of values: `update(model, gradients)`.
private struct ValueHost {
    struct Gradients: HostGradients {
        var weight: [Float]
        var bias: [Float]

        mutating func withUnsafeTensors<Result>(
            _ body: ([UnsafeTensor]) throws(DescentError) -> Result
        ) throws(DescentError) -> Result {
            try withBuffers(&weight, &bias) { (weight, bias) throws(DescentError) in
                try body([UnsafeTensor("bias", bias), UnsafeTensor("weight", shape: [2, 3], weight)])
            }
        }
    }

    struct Model {
        var weight: [Float]
        var bias: [Float]
    }

    struct Descender: HostOptimizer {
        var rate: Float
        var updates = 0

        mutating func update(_ model: inout Model, gradients: Gradients) {
            updates += 1
            for index in model.weight.indices { model.weight[index] -= rate * gradients.weight[index] }
            for index in model.bias.indices { model.bias[index] -= rate * gradients.bias[index] }
        }
    }
}

private func withBuffers<Result>(
    _ first: inout [Float], _ second: inout [Float],
    _ body: (UnsafeMutableBufferPointer<Float>, UnsafeMutableBufferPointer<Float>) throws(DescentError) -> Result
) throws(DescentError) -> Result {
    try first.withUnsafeMutableBufferPointer { (first) throws(DescentError) in
        try second.withUnsafeMutableBufferPointer { (second) throws(DescentError) in try body(first, second) }
    }
}

/// A host of references: gradients are attached to variables, and `step()` uses them up.
private final class ReferenceHost {
    final class Variable {
        let name: String
        let values: UnsafeMutableBufferPointer<Float>
        let gradient: UnsafeMutableBufferPointer<Float>

        init(_ name: String, _ count: Int) {
            self.name = name
            values = .allocate(capacity: count)
            gradient = .allocate(capacity: count)
            values.initialize(repeating: 0)
            gradient.initialize(repeating: 0)
        }

        deinit {
            values.deallocate()
            gradient.deallocate()
        }
    }

    let variables: [Variable]
    let rate: Float

    init(_ variables: [Variable], rate: Float) {
        self.variables = variables
        self.rate = rate
    }

    func step() {
        for variable in variables {
            for index in variable.values.indices { variable.values[index] -= rate * variable.gradient[index] }
        }
    }
}

@Suite struct HostTests {
    let layout: ParameterLayout

    init() throws {
        layout = try ParameterLayout([
            ParameterDescription("weight", shape: [2, 3]), ParameterDescription("bias", shape: [2]),
        ])
    }

    @Test func `a host of values trains through a wrapped optimizer as through its own`() throws {
        var optimizer = try WrappedOptimizer(ValueHost.Descender(rate: 1), for: layout) {
            Accumulate(steps: 2)
            Unscale(.static(4))
            ClipByGlobalNorm(1)
        }
        var model = ValueHost.Model(weight: [Float](repeating: 0, count: 6), bias: [0, 0])
        let gradients = ValueHost.Gradients(weight: [8, 0, 0, 0, 0, 0], bias: [0, -6])
        #expect(try !optimizer.update(&model, gradients: gradients).isApplied)
        #expect(optimizer.base.updates == 0)
        #expect(try optimizer.update(&model, gradients: gradients).isApplied)
        #expect(optimizer.base.updates == 1)
        #expect(abs(model.weight[0] + 0.8) < 1e-5)
        #expect(abs(model.bias[1] - 0.6) < 1e-5)
        #expect(gradients.weight[0] == 8)

        let overflow = ValueHost.Gradients(weight: [.infinity, 0, 0, 0, 0, 0], bias: [0, 0])
        for _ in 0..<2 { _ = try optimizer.update(&model, gradients: overflow) }
        #expect(optimizer.base.updates == 1)
        #expect(optimizer.chain.skippedSteps == 1)
    }

    @Test func `a host of references has its gradients transformed where they lie, then steps`() throws {
        let variables = [ReferenceHost.Variable("bias", 2), ReferenceHost.Variable("weight", 6)]
        let host = ReferenceHost(variables, rate: 1)
        var chain = try Chain(for: layout) { ClipByGlobalNorm(5) }
        variables[0].gradient[0] = 30
        variables[1].gradient[5] = -40
        let gradients = variables.map { UnsafeTensor($0.name, $0.gradient) }
        if try chain.transform(unsafeGradients: gradients).isApplied { host.step() }
        #expect(abs(variables[0].values[0] + 3) < 1e-5)
        #expect(abs(variables[1].values[5] - 4) < 1e-5)
    }

    @Test func `a pipeline updates parameters that lie in memory of somebody else's, as it updates its own`() throws {
        var owned = TensorSet.random(layout, seed: 1)
        let variables = layout.map { ReferenceHost.Variable($0.name, $0.count) }
        for variable in variables { _ = variable.values.update(from: owned[variable.name]) }
        func makePipeline() throws -> Pipeline {
            try Pipeline(for: owned) {
                Centralize()
                ClipByGlobalNorm(1)
            } driving: {
                AdamW()
            }
        }
        var (first, second) = (try makePipeline(), try makePipeline())
        for seed in 0..<5 {
            let gradients = TensorSet.random(layout, seed: UInt64(seed))
            for variable in variables { _ = variable.gradient.update(from: gradients[variable.name]) }
            _ = try first.step(&owned, gradients: gradients)
            _ = try second.step(
                unsafeParameters: variables.reversed().map { UnsafeTensor($0.name, $0.values) },
                unsafeGradients: variables.map { UnsafeTensor($0.name, $0.gradient) })
        }
        for variable in variables { #expect(Array(variable.values) == owned[variable.name]) }
    }

    @Test func `a set of tensors lends its memory, and a copy of the set sees no change`() throws {
        var tensors = TensorSet.random(layout, seed: 1)
        let copy = tensors
        try tensors.withUnsafeTensors { (lent) throws(DescentError) in
            #expect(lent.map(\.name) == ["weight", "bias"])
            #expect(lent.map(\.shape) == [[2, 3], [2]])
            try TensorSet.withUnsafeTensors(lent.reversed(), layout: layout) { (borrowed) throws(DescentError) in
                borrowed["bias"] = [7, 8]
            }
        }
        #expect(tensors["bias"] == [7, 8])
        #expect(tensors["weight"] == copy["weight"])
        #expect(copy.bits == TensorSet.random(layout, seed: 1).bits)
    }
}
