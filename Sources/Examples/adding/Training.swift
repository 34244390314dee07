import Descent
import ExampleSupport
import Foundation
import SeededNumbers

/// Trains a network on the adding problem in one of the variants.
///
/// All variants start from the same parameters and see the same sequences in the same order.
struct Training {
    /// How many sequences a step takes.
    static let batchSize = 32
    /// How many steps a training has.
    static let stepCount = 3_000
    /// After how many skipped steps in a row a training is given up.
    static let patience = 5

    private let variant: Variant
    private var pipeline: Pipeline
    private var gradients: TensorSet
    private var generator: SeededGenerator
    /// The parameters as they are now.
    private(set) var parameters: TensorSet

    /// Prepares a training.
    ///
    /// - Throws: `DescentError` if the pipeline cannot be built.
    init(_ variant: Variant, seed: UInt64) throws {
        self.variant = variant
        parameters = try RecurrentNetwork.initialParameters(seed: seed)
        pipeline = try variant.makePipeline(parameters)
        gradients = TensorSet(zeros: parameters.layout)
        generator = SeededGenerator(seed: seed &+ 1)
    }

    /// Trains on one batch.
    ///
    /// - Throws: `DescentError`, if the gradients were not the pipeline's.
    mutating func step() throws -> Step {
        let before = parameters.bits
        let network = RecurrentNetwork(parameters)
        let parts = AddingProblem(count: Self.batchSize, using: &generator).parts(of: variant.microBatchSize)
        var loss = 0.0
        for part in parts {
            let pass = network.forward(part)
            loss += pass.loss / Double(parts.count)
            network.backward(pass, over: part, into: &gradients)
            switch try pipeline.step(&parameters, gradients: gradients) {
            case .accumulated: break  // The window is still open, and nothing has changed.
            case .applied(let report):
                return Step(
                    loss: loss, gradientNorm: report.gradientNorm ?? gradients.norm,
                    isClipped: report.clippedFraction > 0, changedParameters: parameters.bits != before)
            case .diverged:
                return Step(loss: .nan, gradientNorm: gradients.norm, isClipped: false, changedParameters: true)
            case .skipped(let reason):
                return Step(
                    loss: loss, gradientNorm: gradients.norm, skip: reason,
                    changedParameters: parameters.bits != before)
            }
        }
        preconditionFailure("\(variant.name): a batch has to close its window")
    }

    /// Trains in one of the variants until the end, or until every step is skipped.
    ///
    /// - Throws: `DescentError` if the pipeline cannot be built.
    static func run(_ variant: Variant, seed: UInt64, _ console: Console) throws -> Run {
        var training = try Training(variant, seed: seed)
        var run = Run(variant)
        run.duration = try ContinuousClock().measure {
            for number in 1...stepCount where !run.isStuck {
                let step = try training.step()
                run.append(step, training.parameters)
                if let reason = step.skip { console.write("\(variant.name): step \(number) skipped, \(reason)") }
                guard number.isMultiple(of: 50) else { continue }
                console.progress(
                    "\(variant.name): step \(number), " + String(format: "loss %.4f", run.recentLoss),
                    isMilestone: number.isMultiple(of: stepCount / 3), isLast: number == stepCount)
            }
        }
        if run.isStuck {
            console.write("\(variant.name): stopped after \(patience) skipped steps in a row: skipping keeps the")
            console.write("parameters where they are, and there every batch's gradient overflows.")
        }
        run.heldOutError = training.heldOutError(seed: seed)
        return run
    }

    /// The mean squared error on sequences that training does not see.
    private func heldOutError(seed: UInt64) -> Double {
        var generator = SeededGenerator(seed: seed &+ 2)
        return RecurrentNetwork(parameters).forward(AddingProblem(count: 1_024, using: &generator)).loss
    }
}
