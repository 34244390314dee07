import Descent
import DescentMuon
import Foundation

/// One training run that Optax computed; the schema is described with the goldens of Descent's own tests.
struct GoldenCase: Decodable {
    struct Parameter: Decodable {
        let name: String
        let shape: [Int]
        let values: [Double]
    }

    struct Microbatch: Decodable {
        let gradients: [[Double]]
        let weight: Double?
        let flush: Bool?
    }

    struct Expectation: Decodable {
        let outcome: String
        let lossScaleAfter: Double?
        let parameters: [[Double]]?
    }

    struct Tolerance: Decodable {
        let absolute: Double
        let relative: Double
    }

    let schema: Int
    let parameters: [Parameter]
    let microbatches: [Microbatch]
    let expected: [Expectation]
    let tolerance: Tolerance

    /// Reads a case; numbers that are not finite are names.
    init(_ data: Data) throws {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        self = try decoder.decode(GoldenCase.self, from: data)
    }

    func makeLayout() throws -> ParameterLayout {
        try ParameterLayout(parameters.map { try ParameterDescription($0.name, shape: $0.shape) })
    }
}

/// What a case says of its pipeline, as a document of the library's.
///
/// Whatever the schema's words for stages and optimizers are, this package adds but one, so that names and settings go to
/// the library nearly as they are, which refuses what it does not know.
struct GoldenDocument {
    private typealias Object = [String: Any]

    private let content: Object

    init(_ data: Data) throws {
        content = try JSONSerialization.jsonObject(with: data) as? Object ?? [:]
    }

    /// The pipeline that is described.
    func makeDescription() throws -> PipelineDescription {
        let document: Object = [
            "stages": (content["pipeline"] as? [Object] ?? []).map(stage),
            "optimizers": try optimizers(),
            "configuration": ["nonFinite": content["skipsNonFinite"] as? Bool == true ? "skip" : "propagate"],
        ]
        let text = String(decoding: try JSONSerialization.data(withJSONObject: document), as: UTF8.self)
        return try PipelineDescription(parsing: text, Catalog.standard.adding(Muon.self))
    }

    private struct UnknownKind: Error {
        let kind: String
    }

    private func optimizers() throws -> [Object] {
        var muon = content["optimizer"] as? Object ?? [:]
        guard muon["kind"] as? String == "muon" else { throw UnknownKind(kind: "\(muon["kind"] ?? "none")") }
        let others = muon.removeValue(forKey: "others") as? Object
        if let steps = muon.removeValue(forKey: "steps") { muon["newtonSchulz"] = ["iterations": steps] }
        return [optimizer(muon)] + (others.map { [optimizer($0)] } ?? [])
    }

    private func optimizer(_ entry: Object) -> Object {
        var settings = entry
        settings["optimizer"] = typeName(settings.removeValue(forKey: "kind"))
        if settings.removeValue(forKey: "decayExcludesVectors") as? Bool == true {
            settings["groups"] = [["rank": [0, 1], "weightDecay": 0] as Object]
        }
        if var schedule = settings.removeValue(forKey: "schedule") as? Object {
            let kind = schedule.removeValue(forKey: "kind") as? String ?? ""
            for (name, other) in [("warmupSteps", "warmup"), ("decaySteps", "total")] {
                schedule[other] = schedule.removeValue(forKey: name)
            }
            schedule[kind == "exponential" ? "initial" : "peak"] = settings["learningRate"]
            settings["learningRate"] = [kind: schedule]
        }
        return settings
    }

    private func stage(_ entry: Object) -> Object {
        var settings = entry
        settings["stage"] = typeName(entry["stage"])
        if entry["stage"] as? String == "scale" { settings["by"] = settings.removeValue(forKey: "factor") }
        if entry["norm"] as? String == "linf" { settings["norm"] = "lInfinity" }
        if var scale = entry["lossScale"] as? Object, scale["static"] == nil {
            // The schema's scale has no bounds.
            scale["minimum"] = Double(Float.leastNormalMagnitude)
            scale["maximum"] = Double(Float.greatestFiniteMagnitude)
            settings["lossScale"] = ["dynamic": scale]
        }
        return settings
    }

    /// The name of a type: "ClipByNorm" for "clipByNorm".
    private func typeName(_ name: Any?) -> String {
        let name = name as? String ?? ""
        let abbreviations = ["sgd": "SGD", "lamb": "LAMB", "lars": "LARS", "rmsProp": "RMSProp"]
        return abbreviations[name] ?? name.prefix(1).uppercased() + name.dropFirst()
    }
}
