import ExampleSupport
import Foundation

/// Measurements for people, a line each.
struct ResultTable {
    private static let columns = Columns(
        "workload    ", "chain                   ", "   elements", "median", "   min", "roofline", "of it", "sweeps",
        "bytes",
        "           peak", "notes", leftAligned: [0, 1, 10])

    /// The titles of the columns.
    static var header: String { columns.header }

    /// The line of one measurement.
    static func line(_ measurement: Measurement) -> String {
        let time = measurement.nanosecondsPerElement
        let peak = Double(measurement.peakResidentBytes)
        return columns.line(
            measurement.workload, measurement.chain, "\(measurement.elements)", number(time.median, 3),
            number(time.minimum, 3), number(measurement.rooflineNanosecondsPerElement.median, 3),
            number(measurement.rooflineRatio, 2), "\(measurement.sweeps)",
            "\(measurement.bytesAreUpperBound ? "<" : "")\(measurement.bytesPerElement)",
            "\(number(peak / 0x1p20, 0)) MB " + number(peak / Double(measurement.elements), 1, width: 5),
            notes(measurement))
    }

    private static func notes(_ measurement: Measurement) -> String {
        var notes: [String] = []
        if let ratio = measurement.timeOverRival, let rival = measurement.rival {
            notes.append("\(number(ratio, 3)) over \(rival)")
        }
        if let microBatch = measurement.microBatch {
            notes.append(
                "micro-batch \(number(microBatch.nanosecondsPerElement.median, 3)), "
                    + "\(number(microBatch.timeOverBarePass, 2)) over a bare pass")
        }
        return notes.joined(separator: ", ")
    }

    private static func number(_ value: Double, _ digits: Int, width: Int = 0) -> String {
        let text = String(format: "%.\(digits)f", value)
        return String(repeating: " ", count: max(0, width - text.count)) + text
    }
}
