/// Runs sequences and says, in readable text, where pipeline and model do not agree.
enum SequenceNet {
    /// Runs the sequence of a seed; gives the shrunk failure as text, or nil.
    static func failure(seed: UInt64) -> String? {
        let sequence = SequenceGenerator.sequence(seed: seed)
        guard let failure = Runner.run(sequence) else { return nil }
        let (smallest, found) = sequence.smallest(failure)
        return """
            \(found.disagreement.subject): \(found.disagreement)
            \(smallest)
              the last call: \(found.observed?.text ?? "nothing")
              DESCENT_SEQUENCE_FIRST_SEED=\(seed) DESCENT_SEQUENCE_CASES=1 runs the sequence that this was shrunk from.
            """
    }
}
