import Descent
import DescentDistributed
import DescentMPI
import DigitsModel
import Foundation
import SeededNumbers

/// Trains a perceptron on handwritten digits on several ranks, each with its share of every batch.
///
///     mpirun -n 4 digits-mpi
///     mpirun -n 4 digits-mpi bfloat16
///
/// The type, if one is named, is that in which gradients and their sums move.
@main
struct Program {
    private static let seed: UInt64 = 2_026
    private static let epochCount = 20
    private static let heldOutCount = 360
    private static let batchSize = 32

    static func main() {
        MPICommunicator.withWorld { world in
            let result = try Program(world).run()
            guard world.rank == 0 else { return }
            let share = String(format: "%.2f", result.accuracy * 100)
            print("\(world.rankCount) ranks recognize \(share)% of \(heldOutCount) held-out digits.")
            let (batch, step) = (microseconds(result.batchTime), microseconds(result.stepTime))
            print("A batch of \(batchSize) took \(batch) µs on average, \(step) µs of it in the step.")
        }
    }

    private static func microseconds(_ duration: Duration) -> String {
        String(format: "%.0f", duration / .microseconds(1))
    }

    /// What came of the training, and how long a batch of it took on this rank.
    private struct Result {
        let accuracy: Double
        let batchTime: Duration
        let stepTime: Duration
    }

    private let world: ProcessGroup
    private let movingType = CommandLine.arguments.dropFirst().first.flatMap { ElementType(rawValue: $0) }
    private let digits: Digits
    private let heldOut: Digits

    private init(_ world: ProcessGroup) throws {
        self.world = world
        (digits, heldOut) = try Digits.load().split(heldOut: Self.heldOutCount, seed: Self.seed)
    }

    /// Trains.
    private func run() throws -> Result {
        var parameters = try Perceptron.initialParameters(seed: Self.seed + UInt64(world.rank))
        try world.broadcast(&parameters)
        let stepCount = Self.epochCount * ((digits.count + Self.batchSize - 1) / Self.batchSize)
        var pipeline = try Pipeline(for: parameters, on: SIMDBackend(threads: 1)) {
            AllReduce(over: world, reduction: .weighted, movingAs: movingType)
            Unscale(.dynamic(initial: 65_536, growthInterval: 500))
            Centralize()
            ClipByGlobalNorm(0.5)
        } driving: {
            AdamW(learningRate: .warmupCosine(peak: 0.006, warmup: stepCount / 20, total: stepCount))
        }
        var gradients = TensorSet(zeros: parameters.layout)
        // Every rank shuffles alike, and takes its share of each batch.
        var generator = SeededGenerator(seed: Self.seed)
        var order = Array(0..<digits.count)
        let clock = ContinuousClock()
        let start = clock.now
        var stepTime = Duration.zero
        for _ in 0..<Self.epochCount {
            order.shuffle(using: &generator)
            for start in stride(from: 0, to: order.count, by: Self.batchSize) {
                let share = share(of: start..<min(start + Self.batchSize, order.count))
                let batch = digits.selecting(order[share])
                let scale = pipeline.lossScale
                differentiate(batch, Perceptron(parameters), scale, into: &gradients)
                stepTime += try clock.measure {
                    _ = try pipeline.step(
                        &parameters, gradients: gradients, weight: Double(batch.count), lossScale: scale)
                }
            }
        }
        return Result(
            accuracy: Perceptron(parameters).accuracy(on: heldOut), batchTime: (clock.now - start) / stepCount,
            stepTime: stepTime / stepCount)
    }

    /// This rank's part of a batch; parts differ by one image at most, and may be empty.
    private func share(of batch: Range<Int>) -> Range<Int> {
        let bounds = (0...1).map { batch.lowerBound + batch.count * (world.rank + $0) / world.rankCount }
        return bounds[0]..<bounds[1]
    }

    /// Runs a batch forward and backward; the gradients of no images are 0.
    private func differentiate(_ batch: Digits, _ model: Perceptron, _ scale: Float, into gradients: inout TensorSet) {
        guard batch.count > 0 else {
            gradients = TensorSet(zeros: gradients.layout)
            return
        }
        let activations = model.forward(batch.images)
        let loss = CrossEntropy(activations.logits, batch.labels)
        model.backward(loss.gradient(scale: scale), through: activations, precision: .float16, into: &gradients)
    }
}
