public import DescentTransforms

extension Centralize: DescribedStage {
    public init(from decoder: any Decoder) throws { self.init() }

    public func encode(to encoder: any Encoder) throws {}
}
