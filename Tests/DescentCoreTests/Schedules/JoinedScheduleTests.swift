import Descent
import DescentCore
import TestSupport
import Testing

/// Schedules that follow one another.
@Suite struct JoinedScheduleTests {
    @Test func `the one that takes over counts from where it starts`() {
        let schedule = Schedule.linear(initial: 0, end: 1, transitionSteps: 4)
            .then(.linear(initial: 8, end: 0, transitionSteps: 4), at: 6).then(0.5, at: 9)
        #expect(
            (0...10).map { schedule.value(at: $0) } == [0, 0.25, 0.5, 0.75, 1, 1, 8, 6, 4, 0.5, 0.5])
        #expect(
            "\(schedule)" == "0.0 to 1.0 over 4 steps; from step 6 on 8.0 to 0.0 over 4 steps; from step 9 on 0.5")
    }

    @Test func `a warm-up ends where the schedule begins, which counts from there`() {
        let schedule = Schedule.linear(initial: 4, end: 0, transitionSteps: 4).warmedUp(over: 2, from: 2)
        #expect((0...6).map { schedule.value(at: $0) } == [2, 3, 4, 3, 2, 1, 0])
        let joined = Schedule.linear(initial: 0, end: 0.1, transitionSteps: 5)
            .then(.cosine(initial: 0.1, decaySteps: 20), at: 5)
        let warmed = Schedule.cosine(initial: 0.1, decaySteps: 20).warmedUp(over: 5)
        for step in 0..<30 {
            #expect(abs(joined.value(at: step) - warmed.value(at: step)) < 1e-8)
        }
    }

    @Test func `settings of any type take chains with a leading dot`() throws {
        let stages: [any Stage] = [
            Scale(by: .linear(initial: 1, end: 2, transitionSteps: 3).then(3, at: 2)),
            ClipByGlobalNorm(.constant(2).warmedUp(over: 3, from: 1)), ClipByValue(.infinity),
        ]
        #expect(stages.map(\.name)[2] == "ClipByValue(inf)")
        let group = ParameterGroup.rank(0...1, weightDecay: .linear(initial: 1, end: 2, transitionSteps: 3))
        #expect(group.weightDecay?.value(at: 3) == 2)
    }

    @Test func `a run that is saved in the middle of a joined schedule goes on with the same bits`() throws {
        let layout = try makeLayout([[3, 2], [3]])
        let gradients = TensorSet.random(layout, seed: 2)
        @ChainBuilder var stages: [any Stage] { ClipByGlobalNorm(.linear(initial: 2, end: 0.5, transitionSteps: 9)) }
        let optimizer = AdamW(
            learningRate: .constant(0.1).then(.cosine(initial: 0.1, decaySteps: 5), at: 4).warmedUp(over: 2),
            groups: [.rank(0...1, learningRate: .stepDecay(initial: 0.1, factor: 0.5, everySteps: 3))])
        var whole = TensorSet.random(layout, seed: 1)
        var parameters = whole
        var first = try Pipeline(for: whole, { stages }, driving: { optimizer })
        for _ in 0..<5 { _ = try first.step(&whole, gradients: gradients) }
        parameters = whole
        var second = try Pipeline(resuming: first.state, for: parameters, { stages }, driving: { optimizer })
        for _ in 0..<5 {
            let (a, b) = (
                try first.step(&whole, gradients: gradients), try second.step(&parameters, gradients: gradients)
            )
            #expect(a.isApplied && b.isApplied)
            #expect(whole.bits == parameters.bits)
        }
    }
}
