import Descent
import Testing

/// Mistakes in the order of stages are found when a pipeline is built.
@Suite struct StageOrderTests {
    private func buildError(@ChainBuilder _ stages: () -> [any Stage]) -> DescentError? {
        do throws(DescentError) {
            let parameters = try TensorSet([ParameterDescription("w", shape: [2])])
            _ = try Pipeline(for: parameters, stages) { SGD(learningRate: 0.1) }
            return nil
        } catch {
            return error
        }
    }

    @Test func `clipping before unscaling is refused with the right order`() throws {
        let error = try #require(
            buildError {
                Accumulate(steps: 2)
                ClipByGlobalNorm(1)
                Unscale()
            })
        #expect(error.code == .stageOrder)
        #expect(error.message.contains("ClipByGlobalNorm(1.0) stands before Unscale(dynamic)"))
        #expect(error.message.contains("Accumulate(steps: 2, mean), Unscale(dynamic), ClipByGlobalNorm(1.0)"))
    }

    @Test func `unscaling twice is refused and both stages are named`() throws {
        let error = try #require(
            buildError {
                Unscale()
                Unscale(.static(4))
            })
        #expect(error.code == .stageOrder)
        #expect(error.message.contains("Unscale(4.0)"))
        #expect(error.message.contains("Unscale(dynamic)"))
    }

    @Test func `accumulating twice is refused`() throws {
        let error = try #require(
            buildError {
                Accumulate(steps: 2)
                Accumulate(steps: 3)
            })
        #expect(error.code == .stageOrder)
        #expect(error.message.contains("already accumulated"))
    }

    @Test func `a stage that scales gradients with nothing to unscale them is refused`() throws {
        struct Inflate: GradientScaling {
            var order: StageOrder { StageOrder(leaves: [.scaled]) }
            mutating func prepare(_ step: inout StepPreparation) { step.scale(by: 8) }
        }
        let error = try #require(buildError { Inflate() })
        #expect(error.code == .stageOrder)
        #expect(error.message.contains("Inflate"))
    }

    @Test func `a stage that wants reduced gradients is refused before the reduction`() throws {
        struct Reduce: GradientTransform {
            var order: StageOrder { StageOrder(expects: [.local], leaves: [.reduced]) }
            func transform(_ block: inout some GradientBlock) {}
        }
        let error = try #require(
            buildError {
                ClipByNorm(1)
                Reduce()
            })
        #expect(error.message.contains("still local"))
        #expect(error.message.contains("Reduce, ClipByNorm(1.0)"))
    }

    @Test func `gradients made with a loss scale that nothing undoes are refused`() throws {
        var parameters = try TensorSet([ParameterDescription("w", shape: [2])])
        let gradients = parameters
        var pipeline = try Pipeline(for: parameters) {
        } driving: {
            SGD(learningRate: 0.1)
        }
        let error = #expect(throws: DescentError.self) {
            try pipeline.step(&parameters, gradients: gradients, lossScale: 1024)
        }
        #expect(error?.code == .lossScaleMismatch)
        #expect(error?.message.contains("add Unscale") == true)
    }

    /// A step of gradients of norm 5 whose loss was not multiplied by the pipeline's scale, which is 1024.
    private func stepUnscaled(_ told: Float?) throws -> StepOutcome {
        var parameters = try TensorSet([ParameterDescription("w", shape: [2])])
        let gradients = try TensorSet(["w": [3, -4]], layout: parameters.layout)
        var pipeline = try Pipeline(for: parameters) {
            Unscale(.dynamic(initial: 1024))
            ClipByGlobalNorm(1)
        } driving: {
            SGD(learningRate: 1)
        }
        return try pipeline.step(&parameters, gradients: gradients, lossScale: told)
    }

    @Test func `a loss that was not multiplied is refused where the step is told so`() {
        let error = #expect(throws: DescentError.self) { try stepUnscaled(1) }
        #expect(error?.code == .lossScaleMismatch)
        #expect(error?.message.contains("1024") == true)
    }

    @Test func `a loss that was not multiplied is divided without a word where the step is told nothing`() throws {
        let report = try #require(try stepUnscaled(nil).report)
        #expect(report.gradientNorm == 5.0 / 1024)
        #expect(!report.isClipped)
    }

    @Test func `orders that make sense are accepted`() {
        #expect(
            buildError {
                Unscale()
                ClipByNorm(1)
                Accumulate(steps: 2)
                ClipByGlobalNorm(1)
            } == nil)
        #expect(
            buildError {
                Scale(by: 2)
                Accumulate(steps: 2)
                Unscale()
                Centralize()
                ClipByValue(1)
            } == nil)
        #expect(buildError {} == nil)
    }

    @Test func `the order that is right has a stage that comes too early behind the window, too`() {
        let error = buildError {
            ClipByGlobalNorm(1)
            Accumulate(steps: 2)
            Unscale()
        }
        let right = "The order that is right: Accumulate(steps: 2, mean), Unscale(dynamic), ClipByGlobalNorm(1.0)."
        #expect(error?.message.hasSuffix(right) == true, "\(String(describing: error))")
    }
}
