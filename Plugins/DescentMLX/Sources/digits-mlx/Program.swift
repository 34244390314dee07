import Descent
import DescentMLX
import DigitsModel
import Foundation
import MLX
import MLXNN
import MLXOptimizers
import SeededNumbers

/// Trains one network in three ways, on handwritten digits, and measures their updates.
@main
struct Program {
    private static let seed: UInt64 = 2_026
    private static let epochCount = 20
    private static let heldOutCount = 360
    private static let batchSize = 32
    /// The share of held-out digits that has to be recognized.
    private static let leastAccuracy: Float = 0.95

    /// Runs the program; its status is 1 if too few digits are recognized.
    static func main() throws {
        print("\(epochCount) epochs in batches of \(batchSize); an update from gradients that have been evaluated:")
        let results = try Way.allCases.map { way in (way, try train(way)) }
        for (way, result) in results {
            print(
                column(way.rawValue), "loss", String(format: "%.5f,", result.loss),
                String(format: "%.2f%% of %d held-out digits,", result.accuracy * 100, heldOutCount),
                String(format: "%.3f ms an update", result.milliseconds),
                String(format: "(%.2f)", result.milliseconds / results[0].1.milliseconds))
        }
        for (width, count) in [(256, 8), (1_024, 8)] {
            print("\(count) linear layers of \(width) x \(width):")
            let times = try updateTimes(width: width, count: count)
            for (way, time) in zip(Way.allCases, times) {
                print(column(way.rawValue), String(format: "%8.3f ms an update (%.2f)", time, time / times[0]))
            }
        }
        if results.contains(where: { $0.1.accuracy < leastAccuracy }) { exit(1) }
    }

    private static func column(_ text: String) -> String { text.padding(toLength: 52, withPad: " ", startingAt: 0) }

    /// Trains in one way: the loss on all that was trained on, the share of digits held out that are recognized, and the
    /// middle of the times that updates took.
    private static func train(_ way: Way) throws -> (loss: Float, accuracy: Float, milliseconds: Double) {
        let (digits, heldOut) = try Digits.load().split(heldOut: heldOutCount, seed: seed)
        let model = try DigitNetwork(seed: seed)
        let optimizer = try way.makeOptimizer(for: model)
        let lossAndGradients = valueAndGrad(model: model, loss)
        var generator = SeededGenerator(seed: seed)
        var order = Array(0..<digits.count)
        var times: [Double] = []
        for _ in 0..<epochCount {
            order.shuffle(using: &generator)
            for start in stride(from: 0, to: order.count, by: batchSize) {
                let batch = digits.selecting(order[start..<min(start + batchSize, order.count)])
                let (_, gradients) = lossAndGradients(
                    model, MLXArray(batch), MLXArray(batch.labels.map(Int32.init)))
                times.append(time(of: optimizer, model, gradients))
            }
        }
        try (optimizer as? DescentOptimizer)?.throwKeptError()
        let last = loss(model, MLXArray(digits), MLXArray(digits.labels.map(Int32.init))).item(Float.self)
        return (last, model.accuracy(on: heldOut), times.sorted()[times.count / 2])
    }

    private static func loss(_ model: DigitNetwork, _ images: MLXArray, _ labels: MLXArray) -> MLXArray {
        crossEntropy(logits: model(images), targets: labels, reduction: .mean)
    }

    /// How long an update takes, in milliseconds, from gradients that have been evaluated to a model that has.
    private static func time(
        of optimizer: any MLXOptimizers.Optimizer, _ model: Module, _ gradients: ModuleParameters
    ) -> Double {
        eval(gradients)
        let duration = ContinuousClock().measure {
            optimizer.update(model: model, gradients: gradients)
            eval(model, optimizer)
        }
        return duration / .milliseconds(1)
    }

    /// For each way, the middle of the times that updates of a larger network take, in turns.
    private static func updateTimes(width: Int, count: Int) throws -> [Double] {
        let trained = try Way.allCases.map { way in
            let model = WideNetwork(width: width, count: count)
            return (model, try way.makeOptimizer(for: model))
        }
        let batch = MLXRandom.normal([32, width], key: MLXRandom.key(seed))
        var times = [[Double]](repeating: [], count: trained.count)
        for _ in 0..<15 {
            for (index, (model, optimizer)) in trained.enumerated() {
                let (_, gradients) = valueAndGrad(model: model) { (model: WideNetwork, input: MLXArray, _: MLXArray) in
                    model(input).square().mean()
                }(model, batch, batch)
                times[index].append(time(of: optimizer, model, gradients))
            }
        }
        for (_, optimizer) in trained { try (optimizer as? DescentOptimizer)?.throwKeptError() }
        return times.map { $0.sorted()[$0.count / 2] }
    }
}
