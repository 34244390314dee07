import DescentJSON
import Foundation

/// What to replay: the settings of a training, in `job.json`.
struct Job: Decodable {
    /// How many steps there are, each with its gradients in `gradients-0.safetensors` and so on.
    let steps: Int
    let initialScale: Float
    let growthInterval: Int
    let maximumNorm: Float
    let learningRate: Double
    let weightDecay: Float

    /// Reads the job in a folder.
    ///
    /// - Throws: `DescentError` that names the place in the file, or what Foundation throws for a file.
    init(folder: String) throws {
        let bytes = try Data(contentsOf: URL(fileURLWithPath: folder + "/job.json"))
        self = try JSON(parsing: Array(bytes)).decode(refusingUnknownKeys: true)
    }
}

/// What a step did, as a line of output.
struct StepRecord: Encodable {
    let isApplied: Bool
    let gradientNorm: Double?
    let nextLossScale: Float

    /// A line of JSON.
    var line: String { get throws { try JSON(encoding: self).description } }
}
