import Descent
import DescentJSON
import Foundation
import Testing

/// Schedules that Optax and PyTorch computed; the table is described in `Fixtures/Goldens/README.md`.
@Suite struct ScheduleGoldens {
    struct Row: Decodable, Sendable {
        let kind: String
        let settings: JSON
        let values: [Double]

        /// The schedule as the library's own documents describe it.
        func schedule() throws -> Schedule { try Self.document(kind, settings).decode(refusingUnknownKeys: true) }

        /// `{"joined": {"schedules": [{"linear": {...}}, ...]}}` for a kind, its settings, and those of its parts.
        private static func document(_ kind: String, _ settings: JSON) -> JSON {
            var settings = settings.object ?? .init()
            if let parts = settings["schedules"]?.array {
                settings["schedules"] = .array(
                    parts.map { part in
                        var part = part.object ?? .init()
                        let kind = part["kind"]?.string ?? ""
                        part["kind"] = nil
                        return document(kind, .object(part))
                    })
            }
            var form = JSON.Object()
            form[kind] = .object(settings)
            return .object(form)
        }
    }

    /// The folder named by `DESCENT_SCHEDULE_GOLDENS`, or the fixtures.
    static let folder: URL =
        ProcessInfo.processInfo.environment["DESCENT_SCHEDULE_GOLDENS"]
        .map { URL(fileURLWithPath: $0, isDirectory: true) }
        ?? Bundle.module.resourceURL?.appendingPathComponent("Fixtures/Goldens/schedules", isDirectory: true)
        ?? URL(fileURLWithPath: "Fixtures/Goldens/schedules", isDirectory: true)

    static func rows() throws -> [Row] {
        let data = try Data(contentsOf: folder.appendingPathComponent("table.json"))
        return try JSON(parsing: Array(data)).decode()
    }

    @Test func `the table holds schedules`() throws { #expect(try !Self.rows().isEmpty) }

    @Test(arguments: (try? rows().indices) ?? 0..<0) func `a schedule reproduces its values`(_ index: Int) throws {
        let row = try Self.rows()[index]
        let schedule = try row.schedule()
        try schedule.validate("learningRate", of: "table", in: .notNegative)
        for (step, expected) in row.values.enumerated() {
            let value = schedule.unroundedValue(at: step)
            let isClose = abs(value - expected) <= max(1e-9, 1e-6 * abs(expected))
            #expect(isClose, "\(row.kind) \(row.settings) after \(step) steps: \(value), expected \(expected)")
        }
    }

    @Test(arguments: [
        #"{"kind": "sideways", "settings": {}, "values": []}"#,
        #"{"kind": "linear", "settings": {"initial": 1, "end": 0, "transitionSteps": 3, "slope": 1}, "values": []}"#,
    ]) func `a row that names something unknown fails`(_ row: String) throws {
        let row: Row = try JSON(parsing: row).decode()
        let error = #expect(throws: DescentError.self) { try row.schedule() }
        #expect(error?.code == .unknownSetting)
    }
}
