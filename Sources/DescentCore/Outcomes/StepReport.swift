/// What an applied step was like.
public struct StepReport: Sendable {
    /// The number of applied steps, this one included.
    public private(set) var appliedSteps = 0
    /// The number of steps skipped before this one.
    public private(set) var skippedSteps = 0
    /// The learning rate of parameters that are in no group, of the first optimizer; 0 for a chain alone.
    public var learningRate: Float { learningRates.first?.rate ?? 0 }
    /// For each optimizer, the learning rate of parameters that are in no group.
    public internal(set) var learningRates: [OptimizerRate] = []
    /// What the loss of this step was multiplied by; 1 without an `Unscale`.
    public internal(set) var lossScale: Float = 1
    /// What the loss of the next step is to be multiplied by.
    public private(set) var nextLossScale: Float = 1
    var records = StepRecords()
    /// What the norm stages saw and did, in the order of the chain.
    ///
    /// - Complexity: O(n) in their number, as they are put together with their names each time.
    public var norms: [NormRecord] { records.norms.all }
    /// How many elements stages did something to, in the order of the chain.
    public var counts: [CountRecord] { records.counts }
    /// Numbers that stages have written down by themselves, such as trust ratios, in the order of the chain.
    public var values: [ValueRecord] { records.values }
    /// The L2 norm of each layer, taken where ``gradientNorm`` is; empty unless asked for.
    public internal(set) var layerNorms: [LayerNorm] = []
    /// The L2 norm of the step's change of the parameters over that of the parameters; nil unless asked for.
    public internal(set) var updateRatio: Float?
    var measuredNorm: Double?

    /// Notes how the pipeline stands when the step has ended.
    mutating func noteEnd(appliedSteps: Int, skippedSteps: Int, nextLossScale: Float) {
        self.appliedSteps = appliedSteps
        self.skippedSteps = skippedSteps
        self.nextLossScale = nextLossScale
    }

    /// The norm over all parameters before anything clipped it, at its true scale.
    ///
    /// That is what the first stage saw that took a norm of all parameters that it works on, or else the L2 norm that was
    /// made to check that gradients are finite; nil if nothing was measured. Where `.only` restricts that stage, it is the
    /// norm of those parameters alone; ``norms`` has those of all stages. Where it stands in front of an accumulation, it is
    /// the norm of the last micro-batch.
    public var gradientNorm: Double? { records.norms.firstOfAll ?? measuredNorm }

    /// Whether a stage clipped a norm.
    ///
    /// A stage that stands in front of an accumulation works on each micro-batch, and a report has what it did to the last
    /// one alone: this is false where only earlier micro-batches of the window were clipped, and where a `flush` closed the
    /// window without another. The same holds for ``norms``, ``counts`` and ``values``.
    public var isClipped: Bool { records.norms.clippedCount > 0 }

    /// The share of norms, among those that stages took, that were above their maximum; 0 if none was taken.
    public var clippedFraction: Float {
        records.norms.count == 0 ? 0 : Float(records.norms.clippedCount) / Float(records.norms.count)
    }
}

extension StepReport: CustomStringConvertible {
    /// One line for a log: "step 12: gradient norm 3.2, clipped, learning rate 0.001".
    ///
    /// What there is to say: the norm if one was measured, how many of several norms were clipped, the learning rate of each
    /// optimizer, and the loss scale unless it is 1.
    public var description: String {
        var parts: [String] = []
        if let norm = gradientNorm { parts.append("gradient norm \(Float(norm))") }
        if isClipped {
            let (clipped, count) = (records.norms.clippedCount, records.norms.count)
            parts.append(count == 1 ? "clipped" : "\(clipped) of \(count) norms clipped")
        }
        if !learningRates.isEmpty {
            let rates = learningRates.map { "\($0.rate)" }.joined(separator: ", ")
            parts.append("learning rate\(learningRates.count == 1 ? "" : "s") \(rates)")
        }
        if lossScale != 1 { parts.append("loss scale \(lossScale)") }
        return "step \(appliedSteps)" + (parts.isEmpty ? "" : ": " + parts.joined(separator: ", "))
    }

    /// Everything that the report holds, number by number.
    package var details: String {
        Mirror(reflecting: self).children.map { "\($0.label ?? ""): \($0.value)" }.joined(separator: ", ")
    }
}

/// The learning rate of one of a pipeline's optimizers.
public struct OptimizerRate: Sendable, Hashable {
    /// The optimizer's name, with a number where others before it have the same.
    public let optimizer: String
    /// The learning rate of its parameters that are in no group.
    public let rate: Float
}

/// The L2 norm of a layer's gradient.
public struct LayerNorm: Sendable, Hashable {
    /// The layer: a parameter's name up to its last dot.
    public let layer: String
    /// The norm, at its true scale.
    public let norm: Double
}

/// A step as an observer is told of it.
public struct StepEvent: Sendable {
    /// How the step ended.
    public let outcome: StepOutcome
    /// The number of steps applied so far.
    public let appliedSteps: Int
    /// The number of steps skipped so far.
    public let skippedSteps: Int
    /// What the next loss is to be multiplied by.
    public let lossScale: Float
}
