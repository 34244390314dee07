import DescentCore
public import DescentOptimizers

extension Adagrad: DescribedOptimizer {
    private enum Setting: String, CodingKey {
        case learningRate, learningRateDecay, initialAccumulator, epsilon, weightDecay, maximize, groups
    }

    public init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: Setting.self)
        let usual = Self()
        self.init(
            learningRate: try settings.value(.learningRate, or: usual.learningRate),
            learningRateDecay: try settings.value(.learningRateDecay, or: usual.learningRateDecay),
            initialAccumulator: try settings.value(.initialAccumulator, or: usual.initialAccumulator),
            epsilon: try settings.value(.epsilon, or: usual.epsilon),
            weightDecay: try settings.value(.weightDecay, or: usual.weightDecay),
            maximize: try settings.value(.maximize, or: usual.maximize),
            groups: try settings.value(.groups, or: []))
    }

    public func encode(to encoder: any Encoder) throws {
        var settings = encoder.container(keyedBy: Setting.self)
        try settings.encode(learningRate, forKey: .learningRate)
        try settings.encode(learningRateDecay, forKey: .learningRateDecay)
        try settings.encode(initialAccumulator, forKey: .initialAccumulator)
        try settings.encode(epsilon, forKey: .epsilon)
        try settings.encode(weightDecay, forKey: .weightDecay)
        try settings.encode(maximize, forKey: .maximize)
        if !groups.isEmpty { try settings.encode(groups, forKey: .groups) }
    }
}
