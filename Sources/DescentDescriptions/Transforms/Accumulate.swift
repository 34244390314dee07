import DescentCore
public import DescentTransforms

extension Accumulate.NonFinite: CaseIterable {
    public static let allCases: [Self] = [.skipWindow, .dropMicroBatch]
}

extension Accumulate: DescribedStage {
    private enum Setting: String, CodingKey { case steps, reduction, nonFinite }

    public init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: Setting.self)
        let usual = Self(steps: 1)
        self.init(
            steps: try settings.decode(Int.self, forKey: .steps),
            reduction: try settings.value(.reduction, or: usual.reduction),
            nonFinite: try settings.value(.nonFinite, or: usual.nonFinite))
    }

    public func encode(to encoder: any Encoder) throws {
        var settings = encoder.container(keyedBy: Setting.self)
        try settings.encode(steps, forKey: .steps)
        try settings.encode(reduction, forKey: .reduction)
        try settings.encode(nonFinite, forKey: .nonFinite)
    }
}
