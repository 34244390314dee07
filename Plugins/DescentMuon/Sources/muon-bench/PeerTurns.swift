import DescentMuon
import Foundation

/// Takes turns with other programs: makes ready, then measures for each line of standard input.
///
/// `Tests/Peers/muon.py` speaks this way with all peers. What the first step has done shows that all do the same work.
struct PeerTurns {
    private var subject: Subject

    private struct Ready: Encodable {
        let changeNorm: Double
        let version: String
    }

    private struct Turn: Encodable {
        let nanosecondsPerElement: Double
        let steps: Int
        let peakResidentBytes: Int
    }

    /// Takes turns with a subject.
    init(_ subject: Subject) { self.subject = subject }

    /// Answers until standard input ends.
    consuming func run() throws {
        try answer(Ready(changeNorm: subject.firstChange(), version: "DescentMuon on \(InstalledBLAS.summary)"))
        while let line = readLine() { try answer(turn(seconds: Double(line) ?? 1)) }
    }

    /// Warms up by one step, then measures each of at least three.
    private mutating func turn(seconds: Double) throws -> Turn {
        _ = try subject.step()
        let start = ContinuousClock.now
        var times: [Double] = []
        while times.count < 3 || ContinuousClock.now - start < .seconds(seconds) { times.append(try subject.step()) }
        return Turn(
            nanosecondsPerElement: times.median, steps: times.count,
            peakResidentBytes: ProcessMemory.peakResidentBytes)
    }

    private func answer(_ value: some Encodable) throws {
        FileHandle.standardOutput.write(try JSONEncoder().encode(value) + Data("\n".utf8))
    }
}
