import ExampleSupport
import Foundation

/// How long a step of `full` takes for models of different sizes, as a drawing.
struct Plot {
    /// A line of a plot.
    struct Curve: Codable {
        /// How long one model takes.
        struct Point: Codable {
            let elements: Int
            let nanosecondsPerElement: Double
        }

        let name: String
        let points: [Point]
    }

    /// What `Tests/Peers/compare.py --sizes ... --json file` writes.
    struct Peers: Codable {
        /// Where it was measured, and with which versions.
        let machine: String
        let curves: [Curve]
    }

    /// From a thousand to a hundred million elements, two for each factor of ten.
    static let usualSizes = [
        1_000, 3_162, 10_000, 31_623, 100_000, 316_228, 1_000_000, 3_162_278, 10_000_000, 31_622_777, 100_000_000,
    ]

    /// Where it was measured.
    let machine: String
    /// The lines, from the top of the legend to its end.
    let curves: [Curve]
    /// Where those of peers were measured.
    var peersMachine: String?

    /// Measures each size in a process of its own.
    ///
    /// - Parameters:
    ///   - arguments: Which sizes, for how long each, and where peers' lines are.
    ///   - measure: Measures a chain over a workload.
    /// - Throws: What measuring and reading peers' lines throw.
    init(_ arguments: Arguments, measure: (Workload, BenchmarkChain) throws -> Measurement) throws {
        let peers = try arguments.peers.map {
            try JSONDecoder().decode(Peers.self, from: Data(contentsOf: URL(fileURLWithPath: $0)))
        }
        let chain = BenchmarkChain.existing("full")
        let measurements = try arguments.sizes.sorted().map { try measure(Workload(elementCount: $0), chain) }
        func curve(_ name: String, _ time: (Measurement) -> Double) -> Curve {
            Curve(
                name: name,
                points: measurements.map { .init(elements: $0.elements, nanosecondsPerElement: time($0)) })
        }
        machine =
            measurements.first.map { "\($0.processor), \($0.instructionSet), threads: \($0.threads)" } ?? "no machine"
        curves =
            [
                curve("Descent") { $0.nanosecondsPerElement.median },
                curve("bare passes") { $0.rooflineNanosecondsPerElement.median },
            ] + (peers?.curves ?? [])
        peersMachine = peers?.machine
    }
}
