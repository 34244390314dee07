import DescentCore
public import DescentOptimizers

extension RMSProp: DescribedOptimizer {
    private enum Setting: String, CodingKey {
        case learningRate, alpha, epsilon, momentum, centered, weightDecay, maximize, groups
    }

    public init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: Setting.self)
        let usual = Self()
        self.init(
            learningRate: try settings.value(.learningRate, or: usual.learningRate),
            alpha: try settings.value(.alpha, or: usual.alpha),
            epsilon: try settings.value(.epsilon, or: usual.epsilon),
            momentum: try settings.value(.momentum, or: usual.momentum),
            centered: try settings.value(.centered, or: usual.centered),
            weightDecay: try settings.value(.weightDecay, or: usual.weightDecay),
            maximize: try settings.value(.maximize, or: usual.maximize),
            groups: try settings.value(.groups, or: []))
    }

    public func encode(to encoder: any Encoder) throws {
        var settings = encoder.container(keyedBy: Setting.self)
        try settings.encode(learningRate, forKey: .learningRate)
        try settings.encode(alpha, forKey: .alpha)
        try settings.encode(epsilon, forKey: .epsilon)
        try settings.encode(momentum, forKey: .momentum)
        try settings.encode(centered, forKey: .centered)
        try settings.encode(weightDecay, forKey: .weightDecay)
        try settings.encode(maximize, forKey: .maximize)
        if !groups.isEmpty { try settings.encode(groups, forKey: .groups) }
    }
}
