import DescentCore
import DescentOptimizers
import Testing

/// Learning rates as they are written.
@Suite struct LearningRateTests {
    @Test func `a number in a variable is a schedule that stays`() {
        let (double, float, whole) = (0.25, Float(0.25), 2)
        let optimizers: [any Optimizer] = [
            SGD(learningRate: double), Adam(learningRate: double), AdamW(learningRate: double),
            RMSProp(learningRate: double), Lion(learningRate: double), LAMB(learningRate: double),
            Adagrad(learningRate: double), NAdam(learningRate: double), AdamW(learningRate: float),
            SGD(learningRate: float, momentum: float), SGD(learningRate: double / 2 + double / 2),
        ]
        for optimizer in optimizers { #expect(optimizer.learningRate.value(at: 9) == 0.25, "\(optimizer.name)") }
        #expect(AdamW(learningRate: whole).learningRate.value(at: 0) == 2)
    }

    @Test func `a literal, a schedule and a closure are as before`() {
        let schedule = Schedule.linear(initial: 1, end: 0, transitionSteps: 4)
        #expect(AdamW(learningRate: 0.5).learningRate.value(at: 3) == 0.5)
        #expect(SGD(learningRate: 1).learningRate.value(at: 3) == 1)
        #expect(Lion(learningRate: schedule).learningRate.value(at: 2) == 0.5)
        #expect(LAMB(learningRate: .linear(initial: 1, end: 0, transitionSteps: 4)).learningRate.value(at: 2) == 0.5)
        #expect(Adagrad(learningRate: .custom("count") { Double($0 + 1) }).learningRate.value(at: 2) == 3)
        #expect(RMSProp().learningRate.value(at: 2) == 0.01)
    }
}
