import CDescentKernels
import DescentCore

extension Kernels {
    /// The slots of a rule, as many as it has.
    typealias RuleSlots = (UnsafeMutablePointer<Float>?, UnsafeMutablePointer<Float>?, UnsafeMutablePointer<Float>?)

    /// The numbers of a rule.
    private typealias RuleNumbers = (
        Float, Float, Float, Float, Float, Float, Float, Float, Float, Float, Float, Float, Float, Float, Float, Float
    )

    /// Carries out a rule but for its gradient factor.
    ///
    /// - Parameters:
    ///   - rule: The rule.
    ///   - gradient: The gradient.
    ///   - parameters: The parameters.
    ///   - slots: Its slots.
    ///   - direction: Where the direction is written, which may be the gradient's source; nil to move the parameters.
    ///   - rate: How far to move.
    ///   - keepsSlots: Whether slots are written.
    /// - Returns: Whether all parameters are finite that were moved.
    @discardableResult
    func carryOut(
        _ rule: ElementwiseRule, _ gradient: PendingGradient, _ parameters: UnsafeMutablePointer<Float>,
        slots: RuleSlots, into direction: UnsafeMutablePointer<Float>?, rate: Float, keepsSlots: Bool
    ) -> Bool {
        let step = descent_rule(
            parameters: parameters, slots: slots, direction: direction, rate: rate, keeps: keepsSlots,
            numbers: withUnsafeBytes(of: rule.numbers) { $0.load(as: RuleNumbers.self) })
        let kernel = rule.kernel.function(of: table)
        return withUnsafePointer(to: descent_pending(gradient)) { gradient in
            withUnsafePointer(to: step) { kernel(gradient, $0) }
        }
    }
}

extension ElementwiseRule.Kernel {
    fileprivate typealias Function =
        @convention(c) (UnsafePointer<descent_pending>, UnsafePointer<descent_rule>) -> Bool

    fileprivate func function(of table: UnsafePointer<descent_kernels>) -> Function {
        switch self {
        case .rmsprop: table.pointee.rmsprop
        case .rmspropMomentum: table.pointee.rmsprop_momentum
        case .rmspropCentered: table.pointee.rmsprop_centered
        case .rmspropCenteredMomentum: table.pointee.rmsprop_centered_momentum
        case .adagrad: table.pointee.adagrad
        case .adadelta: table.pointee.adadelta
        case .adamax: table.pointee.adamax
        case .nadam: table.pointee.nadam
        case .radam: table.pointee.radam
        case .adabelief: table.pointee.adabelief
        case .yogi: table.pointee.yogi
        case .ademamix: table.pointee.ademamix
        case .novograd: table.pointee.novograd
        case .lars: table.pointee.lars
        case .scheduleFreeAdamW: table.pointee.schedule_free_adamw
        }
    }
}
