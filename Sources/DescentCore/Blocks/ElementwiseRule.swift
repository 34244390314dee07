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
        /// The gradient over the root of a running mean of its square.
        case rmsprop
        /// RMSProp, whose direction a velocity takes up.
        case rmspropMomentum = "rmsprop_momentum"
        /// The gradient over the root of its running variance.
        case rmspropCentered = "rmsprop_centered"
        /// RMSProp of the running variance, whose direction a velocity takes up.
        case rmspropCenteredMomentum = "rmsprop_centered_momentum"
        /// The gradient over the root of the sum of its squares.
        case adagrad
        /// The gradient times the ratio of the roots of two running means: of squared updates and of its own square.
        case adadelta
        /// The first moment over a decaying largest magnitude.
        case adamax
        /// Adam, with Nesterov's look ahead along the first moment.
        case nadam
        /// Adam, with the rectification of its variance, and without the second moment while it cannot be trusted.
        case radam
        /// Adam, whose second moment is that of what the first one did not foresee.
        case adabelief
        /// Adam, whose second moment moves towards the square of the gradient by steps that do not depend on the distance.
        case yogi
        /// Adam, with a second first moment that forgets slowly.
        case ademamix
        /// Momentum of gradients that are divided by the norm of their tensor.
        case novograd
        /// Momentum of gradients that are scaled by the trust ratio of their tensor.
        case lars
        /// AdamW without a schedule, whose parameters lie between an iterate and its mean.
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
