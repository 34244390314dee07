import Descent
import TestSupport
import Testing

/// What `explain()` says is kept, and of whom it speaks.
@Suite struct ExplanationTests {
    private let parameters: TensorSet

    init() throws { parameters = TensorSet(zeros: try makeLayout([[4, 3], [4], [2, 2], [2]])) }

    @Test func `where no stage can take row means, none are kept`() throws {
        let text = try Pipeline(for: parameters) {
            ClipByGlobalNorm(1)
        } driving: {
            SGD(learningRate: 1)
        }.explain()
        #expect(text.contains("\nKept between steps: nothing\n"))
        #expect(!text.contains("their means"))
    }

    @Test func `where one can, they are kept within a step, and not between steps`() throws {
        let text = try Pipeline(for: parameters) {
            Centralize()
            ClipByGlobalNorm(1)
        } driving: {
            SGD(learningRate: 1)
        }.explain()
        #expect(
            text.contains(
                """
                Kept between steps: nothing
                Kept within a step
                  8 B for each of 6 rows: row means, row factors
                """), "\(text)")
    }

    @Test func `a stage for some of the parameters says for which`() throws {
        let text = try Pipeline(for: parameters) {
            ClipByGlobalNorm(1).only(prefix: "layer0.")
            Freeze(prefix: "layer1.bias")
            Centralize().only { $0.name == "layer1.weight" }
        } driving: {
            SGD(learningRate: 1)
        }.explain()
        #expect(
            text.contains(
                """

                  Freeze leaves out 1 of 4 parameters: layer1.bias
                  ClipByGlobalNorm(1.0).only works on 2 of 4 parameters: layer0.weight, layer0.bias
                  Centralize.only works on 1 of 4 parameters: layer1.weight

                """), "\(text)")
    }

    @Test func `two stages of one name have slots of two names`() throws {
        var pipeline = try Pipeline(for: parameters) {
            Smooth(decay: 0.5)
            Smooth(decay: 0.25)
            Smooth(decay: 0.125)
        } driving: {
            SGD(learningRate: 1, momentum: 0.5)
        }
        #expect(pipeline.slotNames == ["Smooth.mean", "Smooth#2.mean", "Smooth#3.mean", "SGD.velocity"])
        var parameters = parameters
        let gradients = TensorSet.random(parameters.layout, seed: 1)
        _ = try pipeline.step(&parameters, gradients: gradients)
        let means = try pipeline.slotNames.prefix(3).map { try #require(pipeline.slot(named: $0)).bits }
        #expect(Set(means).count == 3)
    }

    @Test func `a wrapped optimizer explains its chain`() throws {
        struct Host: HostOptimizer {
            func update(_ model: inout Int, gradients: TensorSet) { model += 1 }
        }
        let optimizer = try WrappedOptimizer(Host(), for: parameters.layout) { ClipByGlobalNorm(1) }
        #expect(optimizer.explain().hasPrefix("Chain: ClipByGlobalNorm(1.0) → gradients out\n"))
        #expect(optimizer.explain() == optimizer.chain.explain())
    }

    @Test func `layers have limits of their own under a label, and a near name is answered`() throws {
        let stage = ClipLayerwise(default: 1, layers: ["layr0": 0.5])
        let error = #expect(throws: DescentError.self) {
            try Pipeline(for: parameters) {
                stage
            } driving: {
                SGD(learningRate: 1)
            }
        }
        #expect(
            error?.message
                == "ClipLayerwise(default: 1.0, layr0: 0.5): there is no layer named \"layr0\"; "
                + "did you mean \"layer0\"?")
    }
}
