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
///     mpirun -n 4 digits-mpi sharded run.safetensors
///
/// `mpirun -n 1 digits-mpi --help` says what the arguments are.
@main
struct Program {
    private static let seed: UInt64 = 2_026
    private static let epochCount = 20
    private static let heldOutCount = 360
    private static let batchSize = 32
    /// After how many batches there is a checkpoint.
    private static let saveInterval = 30

    static func main() {
        let arguments: Arguments
        do { arguments = try Arguments(CommandLine.arguments.dropFirst()) } catch {
            FileHandle.standardError.write(Data("digits-mpi: \(error)\n\n\(Arguments.usage)\n".utf8))
            exit(2)
        }
        if arguments.wantsHelp {
            print(Arguments.usage)
            return
        }
        MPICommunicator.withWorld { world in
            let result = try Program(world, arguments).run()
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
    private let arguments: Arguments
    private let digits: Digits
    private let heldOut: Digits

    private init(_ world: ProcessGroup, _ arguments: Arguments) throws {
        (self.world, self.arguments) = (world, arguments)
        (digits, heldOut) = try Digits.load().split(heldOut: Self.heldOutCount, seed: Self.seed)
    }

    private var batchesOfEpoch: Int { (digits.count + Self.batchSize - 1) / Self.batchSize }

    /// Trains, from the last checkpoint if there is one.
    private func run() throws -> Result {
        var parameters = try Perceptron.initialParameters(seed: Self.seed + UInt64(world.rank))
        try world.broadcast(&parameters)
        var (pipeline, finished) = try makePipeline(&parameters)
        let last = min(Self.epochCount * batchesOfEpoch, arguments.last ?? .max)
        var gradients = TensorSet(zeros: parameters.layout)
        // Every rank shuffles alike, and takes its share of each batch.
        var generator = SeededGenerator(seed: Self.seed)
        var order = Array(0..<digits.count)
        let clock = ContinuousClock()
        let (start, first) = (clock.now, finished)
        var stepTime = Duration.zero
        for epoch in 0..<Self.epochCount {
            order.shuffle(using: &generator)
            let numbers = epoch * batchesOfEpoch..<(epoch + 1) * batchesOfEpoch
            for number in numbers.clamped(to: first..<max(first, last)) {
                let start = (number - epoch * batchesOfEpoch) * Self.batchSize
                let share = share(of: start..<min(start + Self.batchSize, order.count))
                let batch = digits.selecting(order[share])
                let scale = pipeline.lossScale
                differentiate(batch, Perceptron(parameters), scale, into: &gradients)
                stepTime += try clock.measure {
                    _ = try pipeline.step(
                        &parameters, gradients: gradients, weight: Double(batch.count), lossScale: scale)
                }
                finished = number + 1
                if finished.isMultiple(of: Self.saveInterval) || finished == last {
                    try save(pipeline, parameters, after: finished)
                }
            }
        }
        let count = max(1, finished - first)
        return Result(
            accuracy: Perceptron(parameters).accuracy(on: heldOut), batchTime: (clock.now - start) / count,
            stepTime: stepTime / count)
    }

    /// Builds the pipeline, or has it go on from a checkpoint, and says after how many batches that is.
    private func makePipeline(_ parameters: inout TensorSet) throws -> (Pipeline, finished: Int) {
        var configuration = PipelineConfiguration()
        var exchange: [any Stage] = []
        if arguments.isSharded {
            configuration.sharding = .optimizerState(
                over: world, reduction: .weighted, movingAs: arguments.movingType)
        } else {
            exchange = [AllReduce(over: world, reduction: .weighted, movingAs: arguments.movingType)]
        }
        let stages =
            exchange + [
                Unscale(.dynamic(initial: 65_536, growthInterval: 500)), Centralize(), ClipByGlobalNorm(0.5),
            ]
        let stepCount = Self.epochCount * batchesOfEpoch
        let optimizer = AdamW(learningRate: .warmupCosine(peak: 0.006, warmup: stepCount / 20, total: stepCount))
        guard let path = arguments.path, FileManager.default.fileExists(atPath: path) else {
            let pipeline = try Pipeline(for: parameters, configuration: configuration, on: SIMDBackend(threads: 1)) {
                stages
            } driving: {
                optimizer
            }
            return (pipeline, 0)
        }
        let checkpoint = try Checkpoint(contentsOf: path)
        let pipeline = try Pipeline(
            resuming: checkpoint, restoring: &parameters, configuration: configuration, on: SIMDBackend(threads: 1)
        ) {
            stages
        } driving: {
            optimizer
        }
        return (pipeline, Int(checkpoint.metadata["batches"] ?? "") ?? 0)
    }

    /// Saves what all ranks know; where each knows all of it, one does.
    private func save(_ pipeline: Pipeline, _ parameters: TensorSet, after finished: Int) throws {
        guard let path = arguments.path else { return }
        if arguments.isSharded || world.rank == 0 {
            try pipeline.checkpoint(to: path, including: parameters, metadata: ["batches": "\(finished)"])
        }
        try world.barrier()
        guard world.rank == 0 else { return }
        // A line that is the same wherever the parameters are.
        let line = "\(finished) batches, parameters \(String(digest(of: parameters), radix: 16))\n"
        FileHandle.standardOutput.write(Data(line.utf8))
    }

    /// A digest of all bits: FNV-1a, a float at a time.
    private func digest(of parameters: TensorSet) -> UInt64 {
        parameters.layout.reduce(0xcbf2_9ce4_8422_2325) { digest, parameter in
            parameters[parameter.name].reduce(digest) { ($0 ^ UInt64($1.bitPattern)) &* 0x100_0000_01b3 }
        }
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
