import Descent
import DescentCore
import TestSupport
import Testing

/// Parameters that a host knows under several names.
@Suite struct TiedTensorTests {
    private let layout: ParameterLayout

    init() throws {
        layout = try ParameterLayout(shapes: [
            ("embedding.weight", [5, 3]), ("head.weight", [5, 3]), ("bias", [5]), ("alias", [5, 3]),
        ]).tying(["head.weight": "embedding.weight", "alias": "embedding.weight"])
    }

    private struct Memory {
        let embedding: StridedMemory
        let bias: StridedMemory

        /// The parameters under every name.
        var tensors: [UnsafeTensor] {
            ["head.weight", "embedding.weight", "alias"].map { embedding.tensor($0) } + [bias.tensor("bias")]
        }
    }

    private func memory(_ values: TensorSet) -> Memory {
        Memory(
            embedding: StridedMemory(values["embedding.weight"], shape: [5, 3], order: [1, 0]),
            bias: StridedMemory(values["bias"], shape: [5], order: [0]))
    }

    @Test func `one parameter is left of several names`() throws {
        #expect(layout.map(\.name) == ["embedding.weight", "bias"])
        #expect(layout.tied == ["head.weight": "embedding.weight", "alias": "embedding.weight"])
        let other = try ParameterLayout(shapes: [("a", [2]), ("b", [3]), ("c", [2])])
        #expect(thrownError { _ = try other.tying(["b": "a"]) }?.code == .shapeMismatch)
        #expect(thrownError { _ = try other.tying(["b": "d"]) }?.code == .unexpectedParameter)
        #expect(thrownError { _ = try other.tying(["a": "c", "c": "b"]) }?.code == .unexpectedParameter)
    }

    @Test func `their gradients are added up, and the parameter is updated once`() throws {
        var expected = TensorSet.random(layout, seed: 1)
        let lent = memory(expected)
        var first = try Pipeline(for: expected) {
            Accumulate(steps: 2)
            ClipByGlobalNorm(0.5)
        } driving: {
            AdamW(learningRate: 0.1)
        }
        var second = first
        for step in 0..<6 {
            let parts = (0..<3).map { TensorSet.random(layout, seed: UInt64(10 * step + $0)) }
            var sum = parts[0]
            for part in parts.dropFirst() {
                sum["embedding.weight"] = zip(sum["embedding.weight"], part["embedding.weight"]).map { $0 + $1 }
            }
            let outcome = try first.step(&expected, gradients: sum)
            // In sorted order behind the parameter's own: alias, then head.
            let memories = parts.map { StridedMemory($0["embedding.weight"], shape: [5, 3], order: [1, 0], gap: 1) }
            let bias = StridedMemory(parts[0]["bias"], shape: [5], order: [0])
            let gradients = [
                memories[2].tensor("head.weight"), memories[0].tensor("embedding.weight"), bias.tensor("bias"),
                memories[1].tensor("alias"),
            ]
            let found = try second.step(
                unsafeParameters: lent.tensors, unsafeGradients: step % 2 == 0 ? gradients : gradients.reversed())
            #expect(found.details == outcome.details)
            #expect(lent.embedding.values == expected["embedding.weight"] && lent.bias.values == expected["bias"])
            #expect(memories[0].values == parts[0]["embedding.weight"])
        }
        #expect(second.appliedSteps == 3)
    }

    @Test func `a gradient under either name alone is that of the parameter`() throws {
        let start = TensorSet.random(layout, seed: 1)
        let gradients = TensorSet.random(layout, seed: 2)
        var results: [[Float]] = []
        for name in ["embedding.weight", "alias"] {
            let (lent, gradient) = (memory(start), memory(gradients))
            var pipeline = try Pipeline(for: start, driving: { SGD(learningRate: 1) })
            _ = try pipeline.step(
                unsafeParameters: [lent.embedding.tensor(name), lent.bias.tensor("bias")],
                unsafeGradients: [gradient.embedding.tensor(name), gradient.bias.tensor("bias")])
            results.append(lent.embedding.values)
        }
        #expect(results[0] == results[1] && results[0] != start["embedding.weight"])
    }

    @Test func `the same memory under two names is one gradient`() throws {
        var expected = TensorSet.random(layout, seed: 1)
        let gradients = TensorSet.random(layout, seed: 2)
        let (lent, gradient) = (memory(expected), memory(gradients))
        var first = try Pipeline(for: expected, driving: { SGD(learningRate: 1) })
        var second = first
        _ = try first.step(&expected, gradients: gradients)
        _ = try second.step(unsafeParameters: lent.tensors, unsafeGradients: gradient.tensors)
        #expect(lent.embedding.values == expected["embedding.weight"])
        var chain = try Chain(for: layout) { Scale(by: 2) }
        #expect(try chain.transform(unsafeGradients: gradient.tensors).isApplied)
        #expect(gradient.embedding.values == gradients["embedding.weight"].map { 2 * $0 })
    }

    @Test func `memory is the same with strides that say it is in order, and without`() throws {
        let start = TensorSet.random(layout, seed: 1)
        let lent = memory(start)
        let gradient = UnsafeMutableBufferPointer<Float>.allocate(capacity: 15)
        defer { gradient.deallocate() }
        gradient.initialize(repeating: 1)
        let others = memory(start)
        var pipeline = try Pipeline(for: start, driving: { SGD(learningRate: 1) })
        _ = try pipeline.step(
            unsafeParameters: lent.tensors,
            unsafeGradients: [
                UnsafeTensor("embedding.weight", gradient),
                UnsafeTensor("head.weight", shape: [5, 3], strides: [3, 1], gradient),
                others.bias.tensor("bias"),
            ])
        #expect(lent.embedding.values == start["embedding.weight"].map { $0 - 1 })
        #expect(others.bias.values == start["bias"])
    }

    @Test func `a chain writes the sum elsewhere, and refuses to in place`() throws {
        var chain = try Chain(for: layout) { ClipByGlobalNorm(1e9) }
        let (first, second) = (TensorSet.random(layout, seed: 1), TensorSet.random(layout, seed: 2))
        let (one, other, result) = (memory(first), memory(second), memory(first))
        let gradients = [
            one.embedding.tensor("embedding.weight"), other.embedding.tensor("head.weight"), one.bias.tensor("bias"),
        ]
        let error = thrownError { _ = try chain.transform(unsafeGradients: gradients) }
        #expect(error?.code == .sharedMemory && error?.parameter == "head.weight")
        #expect(one.embedding.values == first["embedding.weight"] && chain.appliedSteps == 0)
        #expect(try chain.transform(unsafeGradients: gradients, into: result.tensors).isApplied)
        let sum = zip(first["embedding.weight"], second["embedding.weight"]).map { $0 + $1 }
        #expect(result.embedding.values == sum)
    }

    @Test func `names that are tied and lie apart are refused, as are memory shared without a word and a name twice`()
        throws
    {
        let start = TensorSet.random(layout, seed: 1)
        let (one, other, gradient) = (memory(start), memory(start), memory(start))
        var pipeline = try Pipeline(for: start, driving: { SGD(learningRate: 1) })
        var error = thrownError {
            _ = try pipeline.step(
                unsafeParameters: one.tensors.dropFirst() + [other.embedding.tensor("head.weight")],
                unsafeGradients: gradient.tensors)
        }
        #expect(error?.code == .sharedMemory && error?.parameter == "head.weight")
        error = thrownError {
            _ = try pipeline.step(
                unsafeParameters: one.tensors + [one.embedding.tensor("alias")], unsafeGradients: gradient.tensors)
        }
        #expect(error?.code == .duplicateParameter)
        error = thrownError {
            _ = try pipeline.step(
                unsafeParameters: one.tensors, unsafeGradients: gradient.tensors + [gradient.bias.tensor("bias")])
        }
        #expect(error?.code == .duplicateParameter)
        #expect(one.embedding.values == start["embedding.weight"] && pipeline.appliedSteps == 0)

        let untied = try ParameterLayout(shapes: [("embedding.weight", [5, 3]), ("head.weight", [5, 3])])
        var plain = try Pipeline(for: TensorSet(zeros: untied), driving: { SGD(learningRate: 1) })
        error = thrownError {
            _ = try plain.step(
                unsafeParameters: Array(one.tensors.prefix(2)), unsafeGradients: Array(gradient.tensors.prefix(2)))
        }
        #expect(error?.code == .sharedMemory && error?.message.contains("tying") == true)
    }
}
