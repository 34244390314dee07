import Descent
import TestSupport
import Testing

/// Random sequences of calls of the whole public API, against a model that keeps everything in arrays.
///
/// `DESCENT_SEQUENCE_CASES` says how many there are, `DESCENT_SEQUENCE_FIRST_SEED` with which they begin, and
/// `DESCENT_SEQUENCE_WITHOUT` which features they do without.
@Suite struct SequenceTests {
    @Test func `pipelines do what plain arrays do, in any sequence of calls`() async {
        await #expect(processExitsWith: .success) {
            try Fuzzing.run(
                "sequences", count: 2_000, casesIn: "DESCENT_SEQUENCE_CASES", firstIn: "DESCENT_SEQUENCE_FIRST_SEED"
            ) { seed, _ in
                if let text = SequenceNet.failure(seed: seed) { throw Fuzzing.Failure(description: text) }
            }
        }
        Fuzzing.reportUnfinishedCase("sequences", firstIn: "DESCENT_SEQUENCE_FIRST_SEED")
    }

    @Test func `a planted fault is found in most sequences, and shrunk to a single step`() {
        var found = 0
        for seed in 0..<20 as Range<UInt64> {
            var sequence = SequenceGenerator.sequence(seed: seed)
            for index in sequence.subjects.indices {
                sequence.subjects[index].stages = []
                sequence.subjects[index].companion = nil
                sequence.subjects[index].hasPlantedFault = true
            }
            guard let failure = Runner.run(sequence) else { continue }
            found += 1
            let (smallest, _) = sequence.smallest(failure)
            #expect(smallest.calls.count <= 2, "\(smallest)")
            #expect(smallest.tensors.count == 1)
        }
        #expect(found > 10)
    }

    @Test func `an uncertain sign may be either, a certain one may not`() {
        let near = (Approximate(0.1) - Approximate(Float(0.1)) * Approximate(1)).sign
        #expect(near.matches(Float(1)) && near.matches(Float(-1)))
        let far = (Approximate(0.1) - Approximate(Float(0.2)) * Approximate(1)).sign
        #expect(far.matches(Float(-1)) && !far.matches(Float(1)))
    }
}
