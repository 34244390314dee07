public import DescentCore

/// Subtracts from each row of a gradient of rank above 1 its mean over dimensions 1 and up: g - mean(g).
///
/// Tensors of rank 0 and 1 are left alone. Costs no pass over memory if a norm behind it is measured. Yong, Huang, Hua
/// and Zhang, "Gradient Centralization" (2020).
public struct Centralize: GradientTransform {
    /// Centralizes gradients.
    public init() {}

    public var effect: StageEffect { .linear }

    public func dependsOnRows(of parameter: ParameterDescription) -> Bool { true }

    public var treatsParametersAlike: Bool { true }

    public func transform(_ block: inout some GradientBlock) { block.subtractRowMeans() }
}

extension Centralize: DescribedStage {}
