import Descent

/// What one pass over the training images was like.
struct Epoch {
    /// Its number, from 1.
    let number: Int
    /// The mean training loss.
    var loss = 0.0
    /// The share of held-out images that are recognized at its end.
    var accuracy = 0.0
    /// The loss scale at its end.
    var lossScale: Float = 1
    /// How many steps updated the parameters.
    private(set) var applied = 0
    /// How many of those a stage clipped; nil if no stage takes norms.
    private(set) var clipped: Int?
    /// Why steps were skipped, an entry a step.
    private(set) var skips: [SkipReason] = []
    /// What half precision turned into zeros.
    var flushes = FlushCount()
    private var normSum = 0.0

    /// Starts counting.
    init(number: Int) { self.number = number }

    /// The mean norm of the gradients that were applied; nil if none was.
    var gradientNorm: Double? { applied == 0 ? nil : normSum / Double(applied) }

    /// Counts what became of a micro-batch.
    ///
    /// - Parameters:
    ///   - outcome: What the pipeline says.
    ///   - gradients: What it was given, to measure here if no stage of the chain took a norm.
    mutating func count(_ outcome: StepOutcome, _ gradients: TensorSet) {
        switch outcome {
        case .accumulated: break  // The window is still open, and nothing has been decided.
        case .applied(let report):
            applied += 1
            normSum += report.gradientNorm ?? gradients.norm / Double(report.lossScale)
            if !report.norms.isEmpty { clipped = (clipped ?? 0) + (report.clippedFraction > 0 ? 1 : 0) }
        case .skipped(let reason): skips.append(reason)
        case .diverged: applied += 1  // The loss, which is NaN from here on, tells.
        }
    }
}

extension TensorSet {
    /// The L2 norm of all elements.
    fileprivate var norm: Double {
        layout.reduce(0) { sum, parameter in
            withElements(of: parameter.name) { elements in
                elements.indices.reduce(sum) { $0 + Double(elements[$1]) * Double(elements[$1]) }
            }
        }.squareRoot()
    }
}
