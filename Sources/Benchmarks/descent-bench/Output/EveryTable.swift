import ExampleSupport
import Foundation

/// Every optimizer and stage beside AdamW, for people: a line of Markdown each.
enum EveryTable {
    /// The titles of the columns.
    static let header = """
        | chain | ns | over \(BenchmarkChain.plain) | bytes | bytes over its | of the roofline | what it is |
        | --- | ---: | ---: | ---: | ---: | ---: | --- |
        """

    /// The line of one measurement.
    static func line(_ measurement: Measurement) -> String {
        // With fewer bytes, the roofline would take less time, and be further away.
        let bound = measurement.bytesAreUpperBound ? "up to " : ""
        let cells = [
            measurement.chain, number(measurement.nanosecondsPerElement.median, 3),
            number(measurement.timeOverRival ?? 1, 2),
            "\(bound)\(measurement.bytesPerElement)",
            bound + number(measurement.bytesOverRival ?? 1, 2), bound + number(measurement.rooflineRatio, 2),
            BenchmarkChain(named: measurement.chain)?.summary ?? "",
        ]
        return "| \(cells.joined(separator: " | ")) |"
    }

    private static func number(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
}
