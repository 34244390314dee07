import Descent
import DescentCore
import TestSupport
import Testing

/// Schedule-Free AdamW against its formula, and what becomes of its average.
@Suite struct ScheduleFreeTests {
    private let layout: ParameterLayout

    init() throws {
        layout = try ParameterLayout([
            ParameterDescription("body.weight", shape: [4, 3]), ParameterDescription("head.bias", shape: [5]),
        ])
    }

    /// The optimizer in Double, as the paper has it.
    private struct Reference {
        var (z, x, y, v): ([Double], [Double], [Double], [Double])
        var (largest, weights, steps) = (0.0, 0.0, 0)
        var (beta1, beta2, epsilon, decay) = (0.9, 0.99, 1e-8, 0.05)

        init(_ start: [Float]) {
            y = start.map { Double($0) }
            (z, x, v) = (y, y, y.map { _ in 0 })
        }

        mutating func step(_ gradients: [Float], rate: Double) {
            steps += 1
            var power = 1.0
            for _ in 0..<steps { power *= beta2 }
            let gamma = rate * (1 - power).squareRoot()
            largest = max(largest, gamma)
            weights += largest * largest
            let share = weights > 0 ? largest * largest / weights : 0
            for index in y.indices {
                let gradient = Double(gradients[index])
                v[index] = beta2 * v[index] + (1 - beta2) * gradient * gradient
                z[index] -= gamma * (gradient / (v[index].squareRoot() + epsilon) + decay * y[index])
                x[index] = (1 - share) * x[index] + share * z[index]
                y[index] = (1 - beta1) * z[index] + beta1 * x[index]
            }
        }
    }

    @Test func `parameters and their average follow the paper, with a rate of its own for a group`() throws {
        var parameters = TensorSet.random(layout, seed: 1)
        let warmup = Schedule.custom("warm-up") { Double($0) * 0.01 }
        var references = parameters.arrays.map { Reference($0) }
        var pipeline = try Pipeline(for: parameters) {
        } driving: {
            ScheduleFreeAdamW(
                learningRate: warmup, beta2: 0.99, weightDecay: 0.05,
                groups: [.named(prefix: "head.", learningRate: 0.5)])
        }
        for step in 0..<8 {
            let gradients = TensorSet.random(layout, seed: UInt64(step) + 2)
            #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
            let average = try #require(pipeline.averagedParameters).arrays
            for index in references.indices {
                references[index].step(gradients.arrays[index], rate: index == 0 ? Double(step) * 0.01 : 0.5)
                #expect(largestDifference(parameters.arrays[index], references[index].y) < 1e-5, "step \(step)")
                #expect(largestDifference(average[index], references[index].x) < 1e-5, "step \(step)")
            }
        }
    }

    @Test func `with a rate of 0 average and parameters stay where they are`() throws {
        var parameters = TensorSet.random(layout, seed: 1)
        let before = parameters.bits
        var pipeline = try Pipeline(for: parameters) {
        } driving: {
            ScheduleFreeAdamW(learningRate: 0)
        }
        for step in 0..<3 as Range<UInt64> {
            #expect(try pipeline.step(&parameters, gradients: .random(layout, seed: step + 2)).isApplied)
        }
        #expect(parameters.bits == before && pipeline.averagedParameters?.bits == before)
    }

    @Test(arguments: [false, true])
    func `a parameter that was trained, frozen and thawed is trained as in its first step`(_ resumes: Bool) throws {
        let layout = try ParameterLayout([
            ParameterDescription("body", shape: [4]), ParameterDescription("head", shape: [5]),
            ParameterDescription("tail", shape: [3]),
        ])
        let optimizer = ScheduleFreeAdamW(learningRate: 0.1, weightDecay: 0.01)
        var parameters = TensorSet.random(layout, seed: 1)
        var pipeline = try Pipeline(for: parameters) {
            Freeze(prefix: "tail")
        } driving: {
            optimizer
        }
        func freeze(_ prefix: String) throws {
            guard resumes else { return try pipeline.change(Freeze.self) { $0.selection = .named(prefix: prefix) } }
            pipeline = try Pipeline(resuming: pipeline.state, for: parameters) {
                Freeze(prefix: prefix)
            } driving: {
                optimizer
            }
        }
        func train(_ seeds: Range<UInt64>) throws {
            for seed in seeds { _ = try pipeline.step(&parameters, gradients: .random(layout, seed: seed)) }
        }
        try train(2..<12)
        try freeze("head")
        try train(12..<15)
        try freeze("tail")

        let headLayout = try ParameterLayout([ParameterDescription("head", shape: [5])])
        var head = try TensorSet(["head": parameters["head"]], layout: headLayout)
        var alone = try Pipeline(for: head) {
        } driving: {
            optimizer
        }
        for seed in 15..<20 as Range<UInt64> {
            try train(seed..<seed + 1)
            let gradients = TensorSet.random(layout, seed: seed)
            _ = try alone.step(&head, gradients: TensorSet(["head": gradients["head"]], layout: headLayout))
            #expect(parameters["head"] == head["head"])
            #expect(pipeline.averagedParameters?["head"] == alone.averagedParameters?["head"])
        }
    }
}
