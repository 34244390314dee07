import Descent
import DescentSafetensors
import Foundation

/// Replays a training that another program recorded: `replay FOLDER`.
///
/// Reads from the folder `job.json`, `parameters.safetensors` and the gradients of each step, multiplied by the loss
/// scale that is in their metadata. Prints a line for each step, and writes what came out: parameters and moments to
/// `replayed.safetensors`, the parameters in bfloat16 to `copy.safetensors`.
@main struct Program {
    static func main() throws {
        guard CommandLine.arguments.count == 2 else {
            print("usage: replay FOLDER")
            exit(2)
        }
        do {
            try replay(CommandLine.arguments[1])
        } catch {
            FileHandle.standardError.write(Data("replay: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func replay(_ folder: String) throws {
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
            print(try record.line)
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
