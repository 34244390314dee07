import Descent
import DescentCore
import TestSupport
import Testing

/// What is not finite although the gradients were: settings, factors, and the arithmetic of the update itself.
@Suite struct OverflowTests {
    /// Scales to norm 1, and divides by zero to do so.
    struct NaiveNormalize: GradientScaling {
        var requirements: [Requirement] { [.norm(.l2)] }
        mutating func prepare(_ step: inout StepPreparation) { step.scale(by: 1 / Float(step.incoming.norm(.l2))) }
    }

    /// Squares each element, which may overflow behind the last norm.
    struct Square: GradientTransform {
        func transform(_ block: inout some GradientBlock) { block.transformEach { $0 *= $0 } }
    }

    let layout: ParameterLayout

    init() throws {
        layout = try ParameterLayout([
            ParameterDescription("w", shape: [2, 2]), ParameterDescription("b", shape: [3]),
        ])
    }

    private func tensors(_ w: [Float], _ b: [Float]) -> TensorSet {
        var tensors = TensorSet(zeros: layout)
        tensors["w"] = w
        tensors["b"] = b
        return tensors
    }

    private var ones: TensorSet { tensors([1, 1, 1, 1], [1, 1, 1]) }

    private func step(
        _ gradients: TensorSet, _ optimizer: any Driving = SGD(learningRate: 0.1),
        _ stages: [any Stage] = []
    ) throws -> (outcome: StepOutcome, parameters: TensorSet, pipeline: Pipeline) {
        var parameters = ones
        var pipeline = try Pipeline(for: parameters, { stages }, driving: { optimizer })
        return (try pipeline.step(&parameters, gradients: gradients), parameters, pipeline)
    }

    @Test(arguments: [Double.nan, .infinity, -.infinity, 1e300])
    func `a rate that is not finite skips the step and names the optimizer`(_ rate: Double) throws {
        let schedule = Schedule.custom("wild") { _ in rate }
        let result = try step(ones, AdamW(learningRate: schedule))
        let reason = try #require(result.outcome.skipReason)
        #expect(reason.code == .nonFiniteSetting)
        #expect(reason.stage == "AdamW")
        #expect("\(reason.code)" == "nonFiniteSetting")
        #expect(result.parameters.bits == ones.bits)
        #expect(result.pipeline.appliedSteps == 0)
    }

    @Test func `so does a rate of a group, whose label is named`() throws {
        let optimizer = AdamW(
            learningRate: 0.1, groups: [.named(prefix: "b", learningRate: .custom("wild") { _ in .nan })])
        let reason = try #require(try step(ones, optimizer).outcome.skipReason)
        #expect(reason.code == .nonFiniteSetting)
        #expect(reason.description.contains("named b*"))
    }

    @Test func `a schedule that ran out is not the loss scale's fault`() throws {
        var parameters = ones
        var pipeline = try Pipeline(for: parameters) {
            Unscale(.dynamic(initial: 8))
            Scale(by: .custom("wild") { $0 == 0 ? .infinity : 1 })
        } driving: {
            SGD(learningRate: 0.1)
        }
        let outcome = try pipeline.step(&parameters, gradients: ones)
        #expect(outcome.skipReason?.code == .nonFiniteSetting)
        #expect(outcome.skipReason?.stage == "Scale(by: wild)")
        #expect(pipeline.lossScale == 8)
    }

    @Test func `a stage that divides by a norm of 0 skips the step`() throws {
        let zeros = TensorSet(zeros: layout)
        let result = try step(zeros, SGD(learningRate: 0.1), [NaiveNormalize()])
        #expect(result.outcome.skipReason?.code == .nonFiniteSetting)
        #expect(result.outcome.skipReason?.stage == "NaiveNormalize")
        #expect(result.parameters.bits == ones.bits)
    }

    @Test func `a loss scale whose inverse is not finite is refused`() throws {
        let error = #expect(throws: DescentError.self) {
            _ = try step(ones, SGD(learningRate: 0.1), [Unscale(.static(.leastNonzeroMagnitude))])
        }
        #expect(error?.code == .invalidSetting)
    }

    @Test func `factors that take a gradient out of Float's range skip the step before anything is written`() throws {
        let gradients = tensors([1e20, 0, 0, 0], [1, 1, 1])
        let result = try step(gradients, SGD(learningRate: 0.1, momentum: 0.9), [Unscale(.dynamic()), Scale(by: 1e30)])
        let reason = try #require(result.outcome.skipReason)
        #expect(reason.code == .overflow)
        #expect(reason.parameter == "w")
        #expect(reason.stage == "Scale(by: 1e+30)")
        #expect(result.parameters.bits == ones.bits)
        #expect(result.pipeline.lossScale == 65_536)
        let large = tensors([1e8, 0, 0, 0], [1, 1, 1])
        #expect(try step(large, SGD(learningRate: 1e-30), [Scale(by: 1e30)]).outcome.isApplied)
    }

    @Test func `an update that leaves Float's range is an outcome of its own`() throws {
        var parameters = ones
        var pipeline = try Pipeline(for: parameters) {
            Unscale(.dynamic(initial: 4, growthInterval: 1))
            Square()
        } driving: {
            SGD(learningRate: 0.1)
        }
        var gradients = ones
        gradients["b"][1] = 1e25
        guard case .diverged(let divergence) = try pipeline.step(&parameters, gradients: gradients) else {
            Issue.record("it did not say so")
            return
        }
        #expect(divergence.parameter == "b")
        #expect(pipeline.appliedSteps == 1)
        #expect(pipeline.lossScale == 4)
        // From here on it is no news, and nothing else has gone wrong.
        #expect(try pipeline.step(&parameters, gradients: ones).isApplied)
    }

    @Test func `a rate of 1e38 diverges, and under propagate nobody looks`() throws {
        let gradients = tensors([1e3, 0, 0, 0], [1, 1, 1])
        for policy in [NonFinitePolicy.skip, .propagate] {
            var parameters = ones
            var pipeline = try Pipeline(for: parameters, configuration: .init(nonFinite: policy)) {
            } driving: {
                SGD(learningRate: 1e38)
            }
            let outcome = try pipeline.step(&parameters, gradients: gradients)
            #expect(outcome.isApplied == (policy == .propagate))
        }
    }

    @Test func `a parameter that was infinite before is no divergence`() throws {
        var parameters = ones
        parameters["b"][0] = -.infinity
        var pipeline = try Pipeline(for: parameters) {
        } driving: {
            SGD(learningRate: 0.1)
        }
        #expect(try pipeline.step(&parameters, gradients: ones).isApplied)
        #expect(try pipeline.step(&parameters, gradients: ones).isApplied)
    }

    @Test func `what else may have spoiled a parameter is said, unless the step has looked before`() throws {
        var parameters = ones
        var pipeline = try Pipeline(for: parameters) {
        } driving: {
            SGD(learningRate: 0.1)
        }
        _ = try pipeline.step(&parameters, gradients: ones)
        parameters["b"][2] = .nan
        guard case .diverged(let later) = try pipeline.step(&parameters, gradients: ones) else {
            Issue.record("it did not say so")
            return
        }
        let blame = """
            made "b" NaN or infinite, from gradients that were finite; go back to a checkpoint and lower the learning rate
            """
        #expect(
            later.description == """
                step 2 \(blame). Or it was so before the step, if anything else has changed "b" since the last one: \
                allSatisfy(\\.isFinite) on its elements before each step tells
                """)
        var first = ones
        var fast = try Pipeline(for: first) {
        } driving: {
            SGD(learningRate: 1e38)
        }
        let large = tensors([0, 0, 0, 0], [1e3, 1, 1])
        guard case .diverged(let update) = try fast.step(&first, gradients: large) else {
            Issue.record("it did not say so")
            return
        }
        #expect(update.description == "step 1 \(blame)")
    }

    @Test func `an error after too many skips names a parameter that is known not to be finite`() throws {
        var parameters = ones
        parameters["b"][1] = .infinity
        var pipeline = try Pipeline(for: parameters, configuration: .init(nonFinite: .skipAtMost(1))) {
        } driving: {
            SGD(learningRate: 0.1)
        }
        let spoiled = tensors([1, .nan, 1, 1], [1, 1, 1])
        #expect(try pipeline.step(&parameters, gradients: ones).isApplied)
        #expect(try !pipeline.step(&parameters, gradients: spoiled).isApplied)
        let error = thrownError { _ = try pipeline.step(&parameters, gradients: spoiled) }
        #expect(error?.code == .tooManySkips)
        #expect(error?.message.contains(" The last update left \"b\" NaN or infinite. ") == true)
    }

    @Test func `a chain says that what it made is not finite`() throws {
        var gradients = tensors([1e25, 0, 0, 0], [1, 1, 1])
        var chain = try Chain(for: layout) { Square() }
        guard case .diverged(let divergence) = try chain.transform(&gradients) else {
            Issue.record("it did not say so")
            return
        }
        #expect(divergence.parameter == "w")
        #expect(
            divergence.description == """
                step 1 made the gradient of "w" NaN or infinite, which arrived finite; do not update with it
                """)
        gradients = ones
        #expect(try chain.transform(&gradients).isApplied)
    }

    @Test func `a chain that looks at the parameters says who does`() throws {
        var gradients = ones
        var chain = try Chain(for: layout) { Decay() }
        guard
            case .diverged(let divergence) = try chain.transform(
                &gradients, parameters: tensors([1, 1, .nan, 1], [1, 1, 1]))
        else {
            Issue.record("it did not say so")
            return
        }
        #expect(
            divergence.description.hasSuffix(
                "; do not update with it, and see whether the parameters, which Decay looks at, are finite"))
    }

    /// Adds a share of the parameters.
    private struct Decay: GradientTransform {
        var requirements: [Requirement] { [.parameters] }
        func transform(_ block: inout some GradientBlock) {
            block.withElements { (gradient: inout MutableSpan<Float>, parameters: Span<Float>) in
                for index in parameters.indices { gradient[index] += 0.5 * parameters[index] }
            }
        }
    }

    // MARK: Factors

    @Test(arguments: [InstructionSet.portable, .preferred]) func `factors are multiplied in Double and rounded once`(
        _ level: InstructionSet
    ) throws {
        func transformed(_ values: [Float], _ stages: [any Stage]) throws -> [Float] {
            var gradients = tensors([0, 0, 0, 0], values)
            var chain = try Chain(for: layout, on: SIMDBackend(threads: 1, instructionSet: level)) { stages }
            #expect(try chain.transform(&gradients).isApplied)
            return Array(gradients["b"])
        }
        let there: [any Stage] = [Scale(by: 1e30), Scale(by: 1e30), Scale(by: 1e-30)]
        let moved = try transformed([1e-30, 1e-25, 0], there)
        for (value, expected) in zip(moved, [1, 1e5, 0] as [Float]) {
            #expect((value - expected).magnitude <= 1e-6 * expected)
        }
        let small = try transformed([3e38, 3e38, 0], [Scale(by: 1e-30), Scale(by: 1e-12)])
        #expect((small[0] - 3e-4).magnitude < 1e-10)
        let large = try transformed([1e-20, 0, 0], [Scale(by: 1e20), Scale(by: 1e20)])
        #expect((large[0] / 1e20 - 1).magnitude < 1e-6)
    }

    @Test(arguments: [Norm.l2, .l1]) func `huge gradients are clipped to the norm that was asked for, and reported`(
        _ norm: Norm
    ) throws {
        let layout = try ParameterLayout([ParameterDescription("w", shape: [1_000])])
        var gradients = TensorSet(zeros: layout)
        gradients["w"] = [Float](repeating: 3e38, count: 1_000)
        var chain = try Chain(for: layout) { ClipByGlobalNorm(1e-3, norm: norm, epsilon: 0) }
        let report = try #require(try chain.transform(&gradients).report)
        var combiner = Norm.Combiner(norm)
        for element in gradients["w"] { combiner.add(Double(element.magnitude)) }
        #expect((combiner.value / 1e-3 - 1).magnitude < 1e-6)
        let exact = Double(Float(3e38)) * (norm == .l1 ? 1_000 : 1_000.0.squareRoot())
        #expect((try #require(report.gradientNorm) / exact - 1).magnitude < 1e-12)
    }
}
