import DescentCore
public import DescentOptimizers

extension SGD: DescribedOptimizer {
    private enum Setting: String, CodingKey {
        case learningRate, momentum, dampening, nesterov, weightDecay, maximize, groups
    }

    public init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: Setting.self)
        let usual = Self(learningRate: 1)
        self.init(
            learningRate: try settings.decode(Schedule.self, forKey: .learningRate),
            momentum: try settings.value(.momentum, or: usual.momentum),
            dampening: try settings.value(.dampening, or: usual.dampening),
            nesterov: try settings.value(.nesterov, or: usual.nesterov),
            weightDecay: try settings.value(.weightDecay, or: usual.weightDecay),
            maximize: try settings.value(.maximize, or: usual.maximize),
            groups: try settings.value(.groups, or: []))
    }

    public func encode(to encoder: any Encoder) throws {
        var settings = encoder.container(keyedBy: Setting.self)
        try settings.encode(learningRate, forKey: .learningRate)
        try settings.encode(momentum, forKey: .momentum)
        try settings.encode(dampening, forKey: .dampening)
        try settings.encode(nesterov, forKey: .nesterov)
        try settings.encode(weightDecay, forKey: .weightDecay)
        try settings.encode(maximize, forKey: .maximize)
        if !groups.isEmpty { try settings.encode(groups, forKey: .groups) }
    }
}
