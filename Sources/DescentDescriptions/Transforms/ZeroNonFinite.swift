public import DescentTransforms

extension ZeroNonFinite: DescribedStage {
    public init(from decoder: any Decoder) throws { self.init() }

    public func encode(to encoder: any Encoder) throws {}
}
