import Descent
import DescentJSON
import TestSupport

/// One training run that PyTorch or Optax computed; the schema is described in `Fixtures/Goldens/README.md`.
struct GoldenCase: Decodable {
    struct Parameter: Decodable {
        let name: String
        let shape: [Int]
        let values: [Number]
    }

    struct Microbatch: Decodable {
        let gradients: [[Number]]
        let weight: Double?
        let flush: Bool?
    }

    struct Expectation: Decodable {
        let outcome: String
        let lossScaleAfter: Number?
        let globalNormBeforeClip: Number?
        let parameters: [[Number]]?
    }

    /// An optimizer for the parameters whose names begin alike.
    struct Part: Decodable {
        let prefix: String
        let optimizer: JSON
    }

    struct Tolerance: Decodable {
        let absolute: Double
        let relative: Double
    }

    /// A number, or the name of one that is not finite.
    struct Number: Decodable {
        let value: Double

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let value = try? container.decode(Double.self) {
                self.value = value
                return
            }
            switch try container.decode(String.self) {
            case "nan": value = .nan
            case "inf": value = .infinity
            case "-inf": value = -.infinity
            case let other:
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "\"\(other)\" is no number")
            }
        }
    }

    let schema: Int
    let name: String
    let parameters: [Parameter]
    let pipeline: [JSON]
    let optimizer: JSON
    /// Stages behind the optimizer.
    let after: [JSON]?
    /// Optimizers of some of the parameters.
    let partition: [Part]?
    let microbatches: [Microbatch]
    let skipsNonFinite: Bool?
    let expected: [Expectation]
    let tolerance: Tolerance
}

extension GoldenCase {
    func makeLayout() throws -> ParameterLayout {
        try ParameterLayout(parameters.map { try ParameterDescription($0.name, shape: $0.shape) })
    }

    /// The pipeline as the library's own documents describe it.
    func makeDescription() throws -> PipelineDescription {
        var document = JSON.Object()
        document["stages"] = .array(pipeline.map(stage))
        document["configuration"] = ["nonFinite": skipsNonFinite == true ? "skip" : "propagate"]
        var described = describe(optimizer)
        if let after, !after.isEmpty { described["then"] = .array(after.map(stage)) }
        if let partition, !partition.isEmpty {
            let parts = partition.map { part in
                var optimizer = describe(part.optimizer)
                optimizer["only"] = ["prefix": .string(part.prefix)]
                return JSON.object(optimizer)
            }
            document["optimizers"] = .array(parts + [.object(described)])
        } else {
            document["optimizer"] = .object(described)
        }
        return try PipelineDescription(parsing: JSON.object(document).description)
    }

    // MARK: The schema's names, and the library's

    /// The name of a type: "ClipByNorm" for "clipByNorm".
    private func typeName(_ name: String?) -> JSON {
        let abbreviations = ["sgd": "SGD", "lamb": "LAMB", "lars": "LARS", "rmsProp": "RMSProp"]
        let name = name ?? ""
        return .string(abbreviations[name] ?? name.prefix(1).uppercased() + name.dropFirst())
    }

    private func renamed(_ object: JSON.Object, _ names: [String: String]) -> JSON.Object {
        var result = JSON.Object()
        for (key, value) in object { result[names[key] ?? key] = value }
        return result
    }

    private func stage(_ entry: JSON) -> JSON {
        let name = entry["stage"]?.string
        var settings = renamed(entry.object ?? .init(), name == "scale" ? ["factor": "by"] : [:])
        settings["stage"] = typeName(name)
        if settings["norm"] == "linf" { settings["norm"] = "lInfinity" }
        if var scale = settings["lossScale"]?.object, scale["static"] == nil {
            // The schema's scale has no bounds.
            scale["minimum"] = JSON.Number(Float.leastNormalMagnitude).map { .number($0) }
            scale["maximum"] = JSON.Number(Float.greatestFiniteMagnitude).map { .number($0) }
            settings["lossScale"] = ["dynamic": .object(scale)]
        }
        return .object(settings)
    }

    private func describe(_ optimizer: JSON) -> JSON.Object {
        var settings = optimizer.object ?? .init()
        settings["optimizer"] = typeName(settings["kind"]?.string)
        if settings["decayExcludesVectors"] == true { settings["groups"] = [["rank": [0, 1], "weightDecay": 0]] }
        if let schedule = settings["schedule"]?.object, let name = schedule["kind"]?.string {
            var schedule = renamed(schedule, ["warmupSteps": "warmup", "decaySteps": "total"])
            schedule["kind"] = nil
            schedule[name == "exponential" ? "initial" : "peak"] = settings["learningRate"]
            var form = JSON.Object()
            form[name] = .object(schedule)
            settings["learningRate"] = .object(form)
        }
        for key in ["kind", "schedule", "decayExcludesVectors"] { settings[key] = nil }
        return settings
    }
}
