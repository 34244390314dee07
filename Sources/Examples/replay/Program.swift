import Descent
import DescentSafetensors
import ExampleSupport

/// Replays a training that another program recorded.
@main struct Program {
    private static let command = Command(
        "replay",
        usage: """
            usage: replay folder

            Replays a training that another program recorded: Tests/Peers/replay.py has PyTorch record one.
            Reads from the folder job.json, parameters.safetensors, and the gradients of each step, multiplied by the loss
            scale that is in their metadata: gradients-0.safetensors and so on. Prints a line of JSON for each step, and
            writes what came out into the folder: parameters and moments to replayed.safetensors, the parameters in bfloat16
            to copy.safetensors.
            """)

    static func main() {
        command.run { arguments, console in
            guard let folder = try arguments.nextPath() else { throw BadArgument("a folder is needed") }
            try arguments.end()
            try replay(folder, console)
            return 0
        }
    }

    private static func replay(_ folder: String, _ console: Console) throws {
        let job = try Job(folder: folder)
        var parameters = try TensorSet(contentsOf: folder + "/parameters.safetensors")
        var optimizer = try Pipeline(for: parameters, configuration: .init(parameterCopy: .bfloat16)) {
            Unscale(.dynamic(initial: job.initialScale, growthInterval: job.growthInterval))
            ClipByGlobalNorm(job.maximumNorm)
        } driving: {
            AdamW(learningRate: .constant(job.learningRate), weightDecay: job.weightDecay)
        }
        for step in 0..<job.steps {
            let path = folder + "/gradients-\(step).safetensors"
            let file = try SafetensorsFile(contentsOf: path)
            let scale = file.metadata["lossScale"].flatMap { Float($0) }
            let outcome = try optimizer.step(
                &parameters, gradients: TensorSet(contentsOf: path), lossScale: scale)
            let record = StepRecord(
                isApplied: outcome.isApplied, gradientNorm: outcome.report?.gradientNorm,
                nextLossScale: optimizer.lossScale)
            console.write(try record.line)
        }
        try write(parameters, optimizer, to: folder + "/replayed.safetensors")
        try optimizer.parameterCopy?.save(to: folder + "/copy.safetensors")
    }

    private static func write(_ parameters: TensorSet, _ optimizer: Pipeline, to path: String) throws {
        var writer = SafetensorsWriter(metadata: ["appliedSteps": "\(optimizer.appliedSteps)"])
        try writer.add(parameters, prefix: "parameters/")
        for name in optimizer.slotNames {
            if let slot = optimizer.slot(named: name) { try writer.add(slot, prefix: name + "/") }
        }
        try writer.write(to: path)
    }
}
