public import DescentTransforms

extension ZeroNonFinite: DescribedTransform {
    public init(from decoder: any Decoder) throws { self.init() }

    public func encode(to encoder: any Encoder) throws {}
}
