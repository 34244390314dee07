import Descent
import Testing

/// What cannot stand where it was put is refused when a pipeline is built, with the way out.
@Suite struct RefusedArrangementTests {
    private let parameters: TensorSet

    init() throws {
        parameters = TensorSet(
            zeros: try ParameterLayout([
                ParameterDescription("weight", shape: [4, 3]), ParameterDescription("bias", shape: [4]),
            ]))
    }

    private func refusal(
        @ChainBuilder of stages: () -> [any Stage] = { [] }, @DrivingBuilder driving: () -> [OptimizerBranch]
    ) -> DescentError? {
        #expect(throws: DescentError.self) { try Pipeline(for: parameters, stages, driving: driving) }
    }

    private func refusal(behind stages: [any Stage]) -> DescentError? {
        refusal(driving: { AdamW().then { stages } })
    }

    /// Works on gradients alone, by its own word.
    private struct ForGradients: GradientTransform {
        var order: StageOrder { StageOrder(expects: [.gradient]) }
        func transform(_ block: inout some GradientBlock) {}
    }

    /// Leaves out nothing, for there is no other process.
    private struct Alone: GradientExchange {
        var exchanged: ExchangedValues { [] }
    }

    private static let refusedBehind: [(any Stage, String)] = [
        (Unscale(.static(4)), "undoes what was done to gradients, not to updates"),
        (Accumulate(steps: 2), "gathers gradients, of which the optimizer needs the sum"),
        (Freeze(prefix: "weight"), "takes parameters out of the whole pipeline"),
        (ForGradients(), "works on gradients, not on updates"),
        (Alone(), "exchanges gradients, which the optimizer has made an update of by then"),
    ]

    @Test(arguments: refusedBehind.indices) func `what only makes sense in front of an optimizer is refused behind it`(
        _ index: Int
    ) {
        let (stage, reason) = Self.refusedBehind[index]
        let error = refusal(behind: [Scale(by: 2), stage])
        #expect(error?.code == .stageOrder)
        #expect(error?.stage == stage.name)
        #expect(
            error?.message
                == "\(stage.name) stands behind AdamW, but it \(reason). Put it in front of the optimizer, among "
                + "the pipeline's stages.")
    }

    @Test func `a scale that is undone behind an optimizer is refused even if it is 1`() {
        #expect(refusal(behind: [Unscale(.static(1))])?.code == .stageOrder)
    }

    @Test(arguments: [LARS(learningRate: 0.1), ScheduleFreeAdamW()] as [any Optimizer])
    func `an optimizer that moves in a way of its own takes what follows alone`(_ optimizer: any Optimizer) throws {
        let error = refusal(driving: { optimizer.then { ClipByNorm(1) } })
        #expect(error?.code == .stageOrder)
        #expect(error?.stage == "ClipByNorm(1.0)")
        #expect(
            error?.message == "\(optimizer.name) moves parameters in a way of its own, not along a direction that "
                + "ClipByNorm(1.0) could act on. Take ClipByNorm(1.0) away, or put it in front of an optimizer that is a "
                + "DirectionalOptimizer.")
        _ = try Pipeline(for: parameters) {
        } driving: {
            optimizer.then { Lookahead() }
        }
    }

    @Test func `what acts on updates is refused behind what follows the parameters`() {
        let error = refusal(behind: [Lookahead(), Scale(by: 2)])
        #expect(error?.code == .stageOrder)
        #expect(error?.message.hasSuffix("The order that is right: Scale(by: 2.0), Lookahead.") == true)
    }

    @Test func `what follows the parameters is refused in front of an optimizer`() {
        let error = refusal(of: { ExponentialMovingAverage(decay: 0.5) }, driving: { AdamW() })
        #expect(error?.code == .stageOrder)
        #expect(error?.stage == "ExponentialMovingAverage")
        #expect(error?.message.contains("behind") == true)
    }

    @Test func `a parameter that no optimizer takes is named`() {
        let error = refusal(driving: { SGD(learningRate: 1).only(.rank(2...4)) })
        #expect(error?.code == .invalidSetting)
        #expect(error?.parameter == "bias")
        #expect(
            error?.message
                == "No optimizer takes \"bias\" (shape [4]). Add one without a selection at the end, for all that "
                + "are left; or freeze the parameter.")
    }

    @Test func `frozen, it needs none`() throws {
        var parameters = parameters
        var pipeline = try Pipeline(for: parameters) {
            Freeze(prefix: "bias")
        } driving: {
            SGD(learningRate: 1).only(.rank(2...4))
        }
        var gradients = parameters
        gradients["bias"] = [1, 1, 1, 1]
        #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
        #expect(parameters["bias"] == [0, 0, 0, 0])
    }

    @Test func `an optimizer that finds no parameter is refused, unless it says that it need not`() throws {
        let behind = refusal(driving: {
            AdamW(); SGD(learningRate: 1)
        })
        #expect(behind?.code == .invalidSetting)
        #expect(behind?.stage == "SGD")
        #expect(
            behind?.message == "SGD: no parameter is left for SGD. Take it away, or say that it may be unused: "
                + "`.only(..., mayBeUnused: true)`.")
        let selecting = refusal(driving: {
            SGD(learningRate: 1).only(.rank(3...3)); AdamW()
        })
        #expect(selecting?.code == .invalidSetting)
        #expect(selecting?.stage == "SGD")
        let misspelled = refusal(driving: {
            SGD(learningRate: 1).only(prefix: "wieght"); AdamW()
        })
        #expect(misspelled?.code == .invalidSetting)
        #expect(misspelled?.message.contains("wieght") == true)
        let pipeline = try Pipeline(for: parameters) {
        } driving: {
            SGD(learningRate: 1).only(.rank(3...3), mayBeUnused: true)
            AdamW()
        }
        #expect(pipeline.explain().contains("SGD moves 0 of 2 parameters"))
    }

    @Test func `an optimizer is needed`() {
        let error = refusal(driving: { [OptimizerBranch]() })
        #expect(error?.message.contains("optimizer") == true)
    }

    @Test func `a stage of whole tensors is refused before an accumulation`() {
        let error = refusal(
            of: {
                TopK(share: 0.1)
                Accumulate(steps: 2)
            }, driving: { AdamW() })
        #expect(error?.code == .stageOrder)
        #expect(
            error?.message
                == "TopK(share: 0.1) works on whole tensors, and stands before Accumulate(steps: 2, mean), where "
                + "gradients arrive in parts. Put it behind.")
    }

    /// A stage with slots.
    private struct Keeping: GradientTransform {
        let slots: [Slot]
        func transform(_ block: inout some GradientBlock) {}
    }

    @Test(arguments: Slot.Shape.allCases, [ElementType.float16, .bfloat16])
    func `what keeps numbers a row, a column or a tensor keeps them in float32`(
        _ shape: Slot.Shape, _ elementType: ElementType
    ) throws {
        let slot = Slot("means", elementType, shape: shape)
        guard shape != .parameter else {
            _ = try Pipeline(for: parameters) {
                Keeping(slots: [slot])
            } driving: {
                AdamW()
            }
            return
        }
        let error = refusal(of: { Keeping(slots: [slot]) }, driving: { AdamW() })
        #expect(error?.code == .invalidSetting)
        #expect(error?.stage == "Keeping")
        #expect(
            error?.message
                == "Keeping: its slot means keeps a number for each \(shape.rawValue) in \(elementType); use float32.")
    }

    @Test func `two slots of one name are refused behind an optimizer as in front of it`() {
        let error = refusal(behind: [Keeping(slots: ["mean", "mean"])])
        #expect(error?.code == .invalidSetting)
        #expect(error?.message == "Keeping: two of its slots have the same name.")
    }

    @Test func `settings of what stands behind an optimizer are checked, by its name`() {
        let trust = refusal(behind: [TrustRatio(minimum: 2, maximum: 1)])
        #expect(trust?.message == "TrustRatio: maximum is 1.0, below the minimum of 2.0.")
        let average = refusal(behind: [ExponentialMovingAverage(decay: 1)])
        #expect(average?.message == "ExponentialMovingAverage: decay is 1.0; it has to lie in 0..<1.")
        let clip = refusal(behind: [ClipByNorm(-1)])
        #expect(clip?.code == .invalidSetting)
    }

    @Test func `a stage that reads the gradient in front of an optimizer is refused`() {
        struct Reading: GradientTransform {
            var requirements: [Requirement] { [.gradient] }
            func transform(_ block: inout some GradientBlock) {}
        }
        let error = refusal(of: { Reading() }, driving: { AdamW() })
        #expect(error?.code == .stageOrder)
        #expect(error?.stage == "Reading")
    }
}
