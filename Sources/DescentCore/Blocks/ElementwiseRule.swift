/// One step of an optimizer that treats each element by itself, for backends that have a kernel for it.
///
/// A kernel gives the bits of the optimizer's own formula: what ``DirectionalOptimizer/makeDirection(_:)`` makes of a
/// gradient and of slots, and what a move along that direction makes of parameters; or what ``Optimizer/update(_:)``
/// makes of them, where there is no direction. An optimizer gives its rule as
/// ``Optimizer/elementwiseRule(for:_:)``.
public struct ElementwiseRule: Sendable {
    /// The formulas that there are kernels for.
    ///
    /// Each is known to backends by its raw value, and is that of the optimizer of this name.
    public enum Kernel: String, CaseIterable, Sendable {
        case rmsprop
        case rmspropMomentum = "rmsprop_momentum"
        case rmspropCentered = "rmsprop_centered"
        case rmspropCenteredMomentum = "rmsprop_centered_momentum"
        case adagrad
        case adadelta
        case adamax
        case nadam
        case radam
        case adabelief
        case yogi
        case ademamix
        case novograd
        case lars
        case scheduleFreeAdamW = "schedule_free_adamw"

        /// How many slots the formula has.
        public var slotCount: Int {
            switch self {
            case .rmsprop, .adagrad, .novograd, .lars: 1
            case .rmspropMomentum, .rmspropCentered, .adadelta, .adamax, .nadam, .radam, .adabelief, .yogi: 2
            case .rmspropCenteredMomentum, .ademamix, .scheduleFreeAdamW: 3
            }
        }

        /// Whether the formula gives a direction; otherwise it moves parameters in a way of its own.
        public var hasDirection: Bool { self != .lars && self != .scheduleFreeAdamW }
    }

    /// What is computed.
    public let kernel: Kernel
    /// What the gradient is multiplied by before anything else, as ``GradientBlock/scale(by:)-(Double)`` does.
    public let gradientFactor: Double
    /// The numbers of the formula, in the kernel's order.
    public let numbers: SIMD16<Float>

    /// Describes a step.
    ///
    /// - Parameters:
    ///   - kernel: What is computed.
    ///   - gradientFactor: What the gradient is multiplied by first.
    ///   - numbers: The numbers of the formula, in the kernel's order, and zeros behind them.
    public init(_ kernel: Kernel, gradientFactor: Double, numbers: SIMD16<Float>) {
        self.kernel = kernel
        self.gradientFactor = gradientFactor
        self.numbers = numbers
    }
}
