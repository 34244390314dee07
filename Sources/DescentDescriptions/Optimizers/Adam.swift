import DescentCore
public import DescentOptimizers

extension Adam: DescribedOptimizer {
    private enum Setting: String, CodingKey {
        case learningRate, beta1, beta2, epsilon, weightDecay, amsgrad, moments, maximize, groups
    }

    public init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: Setting.self)
        let usual = Self()
        self.init(
            learningRate: try settings.value(.learningRate, or: usual.learningRate),
            beta1: try settings.value(.beta1, or: usual.beta1),
            beta2: try settings.value(.beta2, or: usual.beta2),
            epsilon: try settings.value(.epsilon, or: usual.epsilon),
            weightDecay: try settings.value(.weightDecay, or: usual.weightDecay),
            amsgrad: try settings.value(.amsgrad, or: usual.amsgrad),
            moments: try settings.value(.moments, or: usual.moments),
            maximize: try settings.value(.maximize, or: usual.maximize),
            groups: try settings.value(.groups, or: []))
    }

    public func encode(to encoder: any Encoder) throws {
        var settings = encoder.container(keyedBy: Setting.self)
        try settings.encode(learningRate, forKey: .learningRate)
        try settings.encode(beta1, forKey: .beta1)
        try settings.encode(beta2, forKey: .beta2)
        try settings.encode(epsilon, forKey: .epsilon)
        try settings.encode(weightDecay, forKey: .weightDecay)
        try settings.encode(amsgrad, forKey: .amsgrad)
        try settings.encode(moments, forKey: .moments)
        try settings.encode(maximize, forKey: .maximize)
        if !groups.isEmpty { try settings.encode(groups, forKey: .groups) }
    }
}
