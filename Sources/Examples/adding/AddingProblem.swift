import SeededNumbers

/// Sequences of the adding problem: two of many numbers are marked, and their sum is asked for at the end.
///
/// Each step shows a number from 0 to 1 and a marker, which is 1 at one step of the first half and at one of the
/// second, and 0 elsewhere. To answer, a network has to carry the first marked number over all steps up to the last.
/// Hochreiter and Schmidhuber, "Long short-term memory" (1997).
struct AddingProblem {
    /// The number of steps of a sequence.
    static let length = 50
    /// What a step shows: a number and its marker.
    static let inputCount = 2
    /// The error of always answering 1, the mean: twice the variance of a number from 0 to 1.
    static let errorOfGuessingTheMean = 1.0 / 6

    /// For each step, the number and the marker of each sequence.
    let inputs: [[Float]]
    /// For each sequence, the sum of its two marked numbers.
    let targets: [Float]

    /// The number of sequences.
    var count: Int { targets.count }

    private init(inputs: [[Float]], targets: [Float]) {
        self.inputs = inputs
        self.targets = targets
    }

    /// Draws sequences.
    init(count: Int, using generator: inout SeededGenerator) {
        var inputs = [[Float]](
            repeating: [Float](repeating: 0, count: count * Self.inputCount), count: Self.length)
        var targets = [Float](repeating: 0, count: count)
        for sequence in 0..<count {
            let half = Self.length / 2
            let marked = [
                Int.random(in: 0..<half, using: &generator), Int.random(in: half..<Self.length, using: &generator),
            ]
            for step in 0..<Self.length {
                let number = Float.random(in: 0..<1, using: &generator)
                inputs[step][sequence * Self.inputCount] = number
                guard marked.contains(step) else { continue }
                inputs[step][sequence * Self.inputCount + 1] = 1
                targets[sequence] += number
            }
        }
        self.init(inputs: inputs, targets: targets)
    }

    /// Cuts the sequences into parts of equal size, in their order.
    func parts(of size: Int) -> [AddingProblem] {
        precondition(count.isMultiple(of: size), "\(count) sequences cannot be cut into parts of \(size)")
        return stride(from: 0, to: count, by: size).map { start in
            let elements = start * Self.inputCount..<(start + size) * Self.inputCount
            return AddingProblem(
                inputs: inputs.map { Array($0[elements]) }, targets: Array(targets[start..<start + size]))
        }
    }
}
