import Descent
import DescentCore
import TestSupport
import Testing

/// Momentum and decays that change over time.
@Suite struct ChangingSettingTests {
    private let layout: ParameterLayout

    init() throws { layout = try makeLayout([[4, 3], [4]]) }

    /// A schedule that is one number and then stays another.
    static func change(_ first: Double, _ second: Double) -> Schedule {
        .constant(first).then(.constant(second), at: 2)
    }

    /// An optimizer with a setting that changes after two steps, and the same with numbers.
    static let pairs: [(changing: any Optimizer, plain: @Sendable (Bool) -> any Optimizer)] = [
        (
            SGD(learningRate: 0.1, momentum: change(0.5, 0.9), weightDecay: change(0.1, 0)),
            { SGD(learningRate: 0.1, momentum: $0 ? 0.9 : 0.5, weightDecay: $0 ? 0 : 0.1) }
        ),
        (
            Adam(beta1: change(0.5, 0.9), beta2: change(0.9, 0.99), weightDecay: change(0, 0.1)),
            { Adam(beta1: $0 ? 0.9 : 0.5, beta2: $0 ? 0.99 : 0.9, weightDecay: $0 ? 0.1 : 0) }
        ),
        (AdamW(beta1: change(0.5, 0.9)), { AdamW(beta1: $0 ? 0.9 : 0.5) }),
        (
            RMSProp(alpha: change(0.5, 0.9), momentum: change(0.9, 0.5)),
            { RMSProp(alpha: $0 ? 0.9 : 0.5, momentum: $0 ? 0.5 : 0.9) }
        ),
        (
            Lion(beta1: change(0.5, 0.9), beta2: change(0.9, 0.5)),
            { Lion(beta1: $0 ? 0.9 : 0.5, beta2: $0 ? 0.5 : 0.9) }
        ),
        (Adagrad(weightDecay: change(0.1, 0)), { Adagrad(weightDecay: $0 ? 0 : 0.1) }),
    ]

    @Test(arguments: pairs.indices) func `a step has the value of its number, to the bit`(_ index: Int) throws {
        let (changing, plain) = Self.pairs[index]
        var (moved, expected) = (TensorSet.random(layout, seed: 1), TensorSet.random(layout, seed: 1))
        var pipeline = try Pipeline(for: moved, {}, driving: { changing })
        var other = try Pipeline(for: expected, {}, driving: { plain(false) })
        for step in 0..<5 {
            // The same optimizer with other numbers goes on from the state of the first.
            if step == 2 { other = try Pipeline(resuming: other.state, for: expected, {}, driving: { plain(true) }) }
            let gradients = TensorSet.random(layout, seed: UInt64(10 + step))
            _ = try other.step(&expected, gradients: gradients)
            _ = try pipeline.step(&moved, gradients: gradients)
            #expect(moved.bits == expected.bits, "step \(step)")
        }
    }

    @Test func `a momentum of 0 takes the velocity away, and a later one begins anew`() throws {
        let momentum = Schedule.piecewiseConstant(initial: 0.5, boundaries: [2: 1e-60]).then(0.5, at: 3)
        var (parameters, gradients) = (TensorSet(zeros: layout), TensorSet(zeros: layout))
        for name in layout.map(\.name) { gradients[name] = gradients[name].map { _ in 1 } }
        var pipeline = try Pipeline(for: parameters, {}, driving: { SGD(learningRate: 1, momentum: momentum) })
        for expected: Float in [-1, -2.5, -3.5, -5] {
            _ = try pipeline.step(&parameters, gradients: gradients)
            #expect(parameters["layer0.bias"] == [expected, expected, expected, expected])
        }
    }

    @Test func `a group's number takes the place of the schedule`() throws {
        var (moved, expected) = (TensorSet.random(layout, seed: 1), TensorSet.random(layout, seed: 1))
        var pipeline = try Pipeline(for: moved) {
        } driving: {
            AdamW(beta1: Self.change(0.5, 0.9), groups: [.rank(0...4).setting(beta1: 0.75)])
        }
        var other = try Pipeline(for: expected, {}, driving: { AdamW(beta1: 0.75) })
        for seed: UInt64 in 10..<14 {
            let gradients = TensorSet.random(layout, seed: seed)
            _ = try pipeline.step(&moved, gradients: gradients)
            _ = try other.step(&expected, gradients: gradients)
            #expect(moved.bits == expected.bits)
        }
    }

    static let refused: [(optimizer: any Optimizer, reason: String)] = [
        (
            SGD(learningRate: 1, momentum: .linear(initial: 1, end: -1, transitionSteps: 3)),
            "end in the schedule of momentum"
        ),
        (AdamW(beta1: .linear(initial: 0.9, end: 1, transitionSteps: 3)), "end in the schedule of beta1 is 1.0"),
        (Adam(beta2: .linear(initial: -0.1, end: 0, transitionSteps: 3)), "initial in the schedule of beta2 is -0.1"),
        (RMSProp(alpha: .constant(0.5).then(1, at: 3)), "alpha is 1.0; it has to lie in 0..<1"),
        (Lion(beta1: .reduceOnPlateau(initial: 0.9)), "beta1 follows a metric"),
        (SGD(learningRate: 1, momentum: 0, nesterov: true), "nesterov needs a momentum"),
    ]

    @Test(arguments: refused.indices) func `one that is known to leave its range is refused`(_ index: Int) throws {
        let (optimizer, reason) = Self.refused[index]
        let error = #expect(throws: DescentError.self) {
            try Pipeline(for: TensorSet(zeros: layout), {}, driving: { optimizer })
        }
        #expect(error?.code == .invalidSetting && error?.stage == optimizer.name)
        #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
    }

    @Test func `numbers of any type are taken`() {
        let (float, double): (Float, Double) = (0.5, 0.25)
        #expect(AdamW(beta1: double, weightDecay: float).weightDecay.constant == 0.5)
        #expect(SGD(learningRate: 1, momentum: double).momentum.constant == 0.25)
        #expect(RMSProp(alpha: float).alpha.constant == 0.5 && Lion(beta2: float).beta2.constant == 0.5)
        #expect(AdamW().weightDecay.description == "0.01" && Adagrad(weightDecay: float).weightDecay.constant == 0.5)
    }
}
