import Descent
import DescentDescriptions
import DescentJSON
import Testing

/// Everything that a document may name, whatever it is.
@Suite struct CatalogTests {
    private static let stages = Catalog.standard.stages.keys.sorted()
    private static let names = stages + Catalog.standard.optimizers.keys.sorted()

    /// Settings to try beside those that are always written.
    private static let optional: [String: JSON] = [
        "ClipAdaptively": ["excluding": "a"], "ClipByValue": ["limit": 1],
        "ClipLayerwise": ["default": 1, "layers": ["a": 2]],
        "AdamW": ["groups": [["prefix": ["a", "b"], "weightDecay": 0]]],
    ]

    /// An entry of a document: where it stands, and the document around it.
    private struct Entry {
        let place: String
        let key: String
        var settings: JSON.Object

        /// An entry with a name, and with the settings that reading it misses.
        init(minimal name: String) throws {
            let isStage = stages.contains(name)
            place = isStage ? "stages[0]" : "optimizer"
            key = isStage ? "stage" : "optimizer"
            settings = optional[name]?.object ?? .init()
            settings[key] = .string(name)
            while let complaint {
                let missing = try #require(complaint.firstMatch(of: /^missing setting "(\w+)"/), "\(complaint)").1
                for value: JSON in [1, "a", "AdamW"] {
                    settings[String(missing)] = value
                    if self.complaint?.contains(".\(missing)") != true { break }
                }
            }
        }

        /// An entry with a name and all its settings.
        init(complete name: String) throws {
            try self.init(minimal: name)
            let written = try JSON(parsing: PipelineDescription(parsing: document.description).text())
            if let object = (key == "stage" ? written["stages"]?[0] : written["optimizer"])?.object {
                settings = object
            }
        }

        var document: JSON { key == "stage" ? ["stages": [.object(settings)]] : ["optimizer": .object(settings)] }

        /// What reading the document complains of.
        var complaint: String? {
            do throws(DescentError) { _ = try PipelineDescription(parsing: document.description) } catch {
                return error.message
            }
            return nil
        }
    }

    @Test(arguments: names) func `everything in the catalog is read and written`(_ name: String) throws {
        let text = try PipelineDescription(parsing: Entry(minimal: name).document.description).text()
        #expect(text.contains("\"\(name)\""))
        #expect(try PipelineDescription(parsing: text).text() == text)
    }

    @Test(arguments: names) func `a setting of another type is refused with its place`(_ name: String) throws {
        let complete = try Entry(complete: name)
        for setting in complete.settings.keys where setting != complete.key {
            var wrong = complete
            wrong.settings[setting] = [[]]
            let complaint = try #require(wrong.complaint, "\(setting)")
            #expect(complaint.contains("\(wrong.place).\(setting)"), "\(complaint)")
        }
    }

    @Test(arguments: names) func `a setting that is misspelled is named with its place`(_ name: String) throws {
        let complete = try Entry(complete: name)
        for setting in complete.settings.keys where setting != complete.key {
            var wrong = complete
            wrong.settings[setting] = nil
            wrong.settings[setting + "x"] = complete.settings[setting]
            let complaint = try #require(wrong.complaint, "\(setting)")
            #expect(complaint.contains("\(setting)x") && complaint.contains(wrong.place), "\(complaint)")
        }
    }

    @Test func `an unknown name is answered with those that are known`() throws {
        let error = #expect(throws: DescentError.self) {
            try PipelineDescription(parsing: #"{"optimizer": "Shampoo"}"#)
        }
        #expect(
            error?.message
                == "unknown optimizer \"Shampoo\" at optimizer; known are "
                + Catalog.standard.optimizers.keys.sorted().joined(separator: ", ")
                + ". Others have to be added to the catalog.")
    }

    @Test(arguments: [
        (#"{"stage": "Accumulate", "steps": 3}"#, Accumulate(steps: 3) as any Stage),
        (#"{"stage": "AddNoise", "seed": 7}"#, AddNoise(seed: 7)), (#""Centralize""#, Centralize()),
        (#""ClipAdaptively""#, ClipAdaptively()),
        (#"{"stage": "ClipByGlobalNorm", "maximum": 1}"#, ClipByGlobalNorm(1)),
        (#"{"stage": "ClipByNorm", "maximum": 1}"#, ClipByNorm(1)),
        (#"{"stage": "ClipByPercentile", "percentile": 9}"#, ClipByPercentile(9)),
        (#"{"stage": "ClipByValue", "lower": -1, "upper": 1}"#, ClipByValue(1)), (#""ClipByZScore""#, ClipByZScore()),
        (#"{"stage": "ClipLayerwise", "default": 2}"#, ClipLayerwise(default: 2)), (#""Normalize""#, Normalize()),
        (#""Unscale""#, Unscale()),
    ]) func `a setting of a stage that is left out is what the initializer has it`(_ text: String, _ stage: any Stage)
        throws
    {
        let read = try PipelineDescription(parsing: "{\"stages\": [\(text)]}")
        #expect(try read.text() == PipelineDescription(stages: [stage]).text())
    }

    @Test(arguments: [
        (#""Adagrad""#, Adagrad() as any Driving), (#""Adam""#, Adam()), (#""AdamW""#, AdamW()), (#""LAMB""#, LAMB()),
        (#""Lion""#, Lion()), (#""RMSProp""#, RMSProp()),
        (#"{"optimizer": "SGD", "learningRate": 1}"#, SGD(learningRate: 1)),
        (#"{"optimizer": "Lookahead", "of": "Lion"}"#, Lion().lookingAhead()),
    ]) func `a setting of an optimizer that is left out is what the initializer has it`(
        _ text: String, _ optimizer: any Driving
    ) throws {
        let read = try PipelineDescription(parsing: "{\"optimizer\": \(text)}")
        #expect(try read.text() == PipelineDescription(stages: [], optimizer: optimizer).text())
    }
}
