import Descent
import DescentMuon
import DigitsModel
import Foundation
import SeededNumbers

/// Trains a perceptron on handwritten digits with Muon for matrices, and AdamW for all else.
@main
struct Program {
    private static let seed: UInt64 = 2_026
    private static let epochCount = 20
    private static let heldOutCount = 360
    private static let batchSize = 32
    /// The share of held-out digits that has to be recognized.
    private static let leastAccuracy = 0.96

    /// Runs the program; its status is 1 if too few digits are recognized.
    static func main() throws {
        let accuracy = try train()
        let share = String(format: "%.2f", accuracy * 100)
        print("Muon and AdamW: \(share)% of \(heldOutCount) held-out digits are recognized.")
        if accuracy < leastAccuracy { exit(1) }
    }

    /// Trains; gives the share of held-out digits that are recognized.
    private static func train() throws -> Double {
        let (digits, heldOut) = try Digits.load().split(heldOut: heldOutCount, seed: seed)
        let stepCount = epochCount * ((digits.count + batchSize - 1) / batchSize)
        var parameters = try Perceptron.initialParameters(seed: seed)
        var pipeline = try Pipeline(for: parameters) {
            Unscale(.dynamic(initial: 65_536, growthInterval: 500))
            ClipByGlobalNorm(1)
        } driving: {
            Muon(
                learningRate: .warmupCosine(peak: 0.02, warmup: stepCount / 20, total: stepCount),
                others: AdamW(learningRate: .warmupCosine(peak: 0.006, warmup: stepCount / 20, total: stepCount)))
        }
        print(pipeline.explain())
        var gradients = TensorSet(zeros: parameters.layout)
        var generator = SeededGenerator(seed: seed)
        var order = Array(0..<digits.count)
        for _ in 0..<epochCount {
            order.shuffle(using: &generator)
            for start in stride(from: 0, to: order.count, by: batchSize) {
                let batch = digits.selecting(order[start..<min(start + batchSize, order.count)])
                let model = Perceptron(parameters)
                let activations = model.forward(batch.images)
                let loss = CrossEntropy(activations.logits, batch.labels)
                model.backward(
                    loss.gradient(scale: pipeline.lossScale), through: activations, precision: .float16,
                    into: &gradients)
                _ = try pipeline.step(&parameters, gradients: gradients)
            }
        }
        return Perceptron(parameters).accuracy(on: heldOut)
    }
}
