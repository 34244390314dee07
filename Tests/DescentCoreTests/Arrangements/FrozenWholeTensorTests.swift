import Descent
import DescentCore
import TestSupport
import Testing

/// Parameters that are frozen are not handed to stages of whole tensors, either.
@Suite struct FrozenWholeTensorTests {
    @Test func `a frozen parameter is neither transformed nor remembered`() throws {
        let layout = try makeLayout([[4, 3], [4]])
        let gradients = TensorSet.random(layout, seed: 1)
        for measures in [false, true] {
            var parameters = TensorSet.random(layout, seed: 2)
            let before = parameters
            var pipeline = try Pipeline(for: parameters) {
                Freeze(prefix: "layer0.bias")
                TopK(share: 0.25)
                if measures { ClipByGlobalNorm(1) }
            } driving: {
                SGD(learningRate: 0.1)
            }
            _ = try pipeline.step(&parameters, gradients: gradients)
            #expect(parameters["layer0.bias"] == before["layer0.bias"])
            #expect(parameters["layer0.weight"] != before["layer0.weight"])
            let name = try #require(pipeline.slotNames.first { $0.hasSuffix("residual") })
            let residual = try #require(pipeline.slot(named: name))
            #expect(residual["layer0.bias"].allSatisfy { $0 == 0 })
        }
    }
}
