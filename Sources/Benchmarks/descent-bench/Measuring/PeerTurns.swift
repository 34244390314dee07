import Descent
import ExampleSupport

/// Takes turns with other programs: makes ready, then measures for each line of standard input.
///
/// `Tests/Peers/compare.py` speaks this way with all peers. What they are, each says in a line of JSON; what three steps
/// have led to shows that all do the same work.
struct PeerTurns {
    private var subject: Subject
    private let seconds: Double

    private struct Ready: Encodable {
        struct Tensor: Encodable {
            let name: String
            let shape: [Int]
        }

        let tensors: [Tensor]
        let instructionSet: String
        let threads: Int
        /// The L2 norm of what the first steps changed the parameters by.
        let changeNorm: Double
        /// The L2 norm of AdamW's first moment after them; 0 where there is none of float32.
        let momentNorm: Double
    }

    private struct Turn: Encodable {
        let nanosecondsPerElement: Double
        let steps: Int
    }

    /// Takes turns with a subject.
    init(subject: Subject, seconds: Double) throws {
        self.subject = subject
        self.seconds = seconds
    }

    /// Answers until standard input ends.
    consuming func run(_ console: Console) throws {
        for _ in 0..<3 { _ = try subject.step() }
        let layout = subject.pipeline.layout
        try console.write(
            json: Ready(
                tensors: layout.map { .init(name: $0.name, shape: $0.shape) },
                instructionSet: subject.backend.instructionSet.rawValue, threads: subject.backend.threadCount,
                changeNorm: SampleNumbers.parameters.distance(to: subject.parameters),
                momentNorm: momentNorm))
        while readLine() != nil { try console.write(json: try turn()) }
    }

    private var momentNorm: Double {
        let moment = subject.pipeline.slot(named: "AdamW.first moment")
        guard let moment, moment.elementType == .float32 else { return 0 }
        return SampleNumbers.zeros.distance(to: moment)
    }

    /// Steps for a tenth of the time to warm up, then measures each of at least three steps.
    private mutating func turn() throws -> Turn {
        let start = ContinuousClock.now
        repeat { _ = try subject.step() } while ContinuousClock.now - start < .seconds(seconds / 10)
        var times: [Double] = []
        while times.count < 3 || ContinuousClock.now - start < .seconds(seconds) {
            times.append(try subject.step().whole)
        }
        let elements = Double(subject.pipeline.layout.elementCount)
        return Turn(nanosecondsPerElement: times.median / elements, steps: times.count)
    }
}
