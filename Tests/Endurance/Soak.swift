import AllocationCounter
import Descent
import DescentDistributed
import DistributedScenarios
import ExampleSupport

/// Many steps of a tiny pipeline, over which memory must not grow; steps that are not skipped must not ask for any.
struct Soak {
    /// By how much resident memory may grow after the first tenth of the steps.
    private static let allowance = 512 * 1024
    private let steps: Int

    init(steps: Int) { self.steps = steps }

    /// Takes the steps, and says whether all is as it should be.
    func run(_ console: Console) throws -> Bool {
        let world = try ProcessGroup(over: EchoCommunicator(among: 2))
        return try run("Alone", console, Accumulate(steps: 2))
            && run("As one of two ranks", console, AllReduce(over: world))
            && run("With whole tensors", console, Accumulate(steps: 2), TopK(share: 0.5))
    }

    private func run(
        _ name: String, _ console: Console, _ first: any Stage, _ whole: (any Stage)? = nil
    ) throws -> Bool {
        var parameters = try TensorSet([
            ParameterDescription("weight", shape: [3, 4]), ParameterDescription("bias", shape: [3]),
        ])
        var gradients = parameters
        var pipeline = try Pipeline(for: parameters, configuration: .init(reporting: .layerNorms)) {
            first
            Unscale(.dynamic(growthInterval: 20))
            if let whole { whole }
            ClipByPercentile(90, historyLength: 1_000)
            ClipByGlobalNorm(1).only(prefix: "weight")
            ClipGroups()
            if let whole { whole }
        } driving: {
            AdamW(learningRate: 1e-3)
        }
        var early = 0
        var allocations = 0
        for step in 0..<steps {
            gradients.withMutableElements(of: "weight") { elements in
                for index in elements.indices { elements[index] = Float((index + step) % 7) - 3 }
            }
            // Now and then a window is spoiled, with a message that says why, when that happens and when it closes.
            let isSpoiled = step % 101 == 0
            gradients.withMutableElements(of: "bias") { $0[1] = isSpoiled ? .infinity : 2 }
            let before = descent_allocation_count()
            let isSkipped = try pipeline.step(&parameters, gradients: gradients).skipReason != nil
            if step > steps / 10, !isSkipped, !isSpoiled { allocations += descent_allocation_count() - before }
            if step > 0, step.isMultiple(of: max(10, steps / 10)) {
                console.progress("\(step) of \(steps) steps", isMilestone: true, isLast: false)
            }
            if step == steps / 10 { early = ProcessMemory.residentBytes }
        }
        let growth = ProcessMemory.residentBytes - early
        console.write(
            "\(name): \(steps) steps, \(pipeline.appliedSteps) applied, \(pipeline.skippedSteps) skipped: "
                + "\(early / 1024) KB after a tenth, \(growth / 1024) KB more at the end; "
                + "\(allocations) allocations in steps that had nothing to say")
        guard growth <= Self.allowance else {
            console.complain("endurance: memory grows by more than \(Self.allowance / 1024) KB.")
            return false
        }
        guard allocations == 0 else {
            console.complain("endurance: steps ask for memory, as they do where the program is not optimized.")
            return false
        }
        return true
    }
}

/// Clips groups of parameters that it makes itself, as stages of users do.
private struct ClipGroups: GradientTransform {
    private let groups = [[0], [1, 0]]

    var requirements: [Requirement] { [.norm(.l2)] }
    var effect: StageEffect { .scaling }

    func prepare(_ step: inout StepPreparation) {
        for group in groups {
            step.clip(group, norm: step.incoming.norm(.l2, over: group), to: 0.1, epsilon: 0, group: "of its own")
        }
        let all = step.layout.indices
        step.clip(all, norm: step.incoming.norm(.l2, over: all), to: 0.1, epsilon: 0, group: "all")
    }

    func transform(_ block: inout some GradientBlock) {}
}
