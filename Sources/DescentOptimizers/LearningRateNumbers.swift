// Learning rates as numbers that are not written out: `AdamW(learningRate: rate)`, of a Float, Double or Int.
//
// Schedules have initializers of their own, in which `.custom("name") { step in ... }` needs nothing more: closures do not
// find their type where that of the setting is open.

public import DescentCore

extension AdamOptimizer {
    /// Makes an optimizer with a learning rate of any number; otherwise as with a schedule.
    @_disfavoredOverload public init(
        learningRate: some ScheduleConvertible, beta1: some ScheduleConvertible = 0.9,
        beta2: some ScheduleConvertible = 0.999, epsilon: Float = 1e-8,
        weightDecay: some ScheduleConvertible = Self.usualWeightDecay, amsgrad: Bool = false,
        moments: ElementType = .float32, maximize: Bool = false, groups: [ParameterGroup] = []
    ) {
        self.init(
            learningRate: learningRate.schedule, beta1: beta1, beta2: beta2, epsilon: epsilon, weightDecay: weightDecay,
            amsgrad: amsgrad, moments: moments, maximize: maximize, groups: groups)
    }
}

extension SGD {
    /// Makes an optimizer with a learning rate of any number; otherwise as with a schedule.
    @_disfavoredOverload public init(
        learningRate: some ScheduleConvertible, momentum: some ScheduleConvertible = 0, dampening: Double = 0,
        nesterov: Bool = false, weightDecay: some ScheduleConvertible = 0, moments: ElementType = .float32,
        maximize: Bool = false, groups: [ParameterGroup] = []
    ) {
        self.init(
            learningRate: learningRate.schedule, momentum: momentum, dampening: dampening, nesterov: nesterov,
            weightDecay: weightDecay, moments: moments, maximize: maximize, groups: groups)
    }
}

extension RMSProp {
    /// Makes an optimizer with a learning rate of any number; otherwise as with a schedule.
    @_disfavoredOverload public init(
        learningRate: some ScheduleConvertible, alpha: some ScheduleConvertible = 0.99, epsilon: Float = 1e-8,
        momentum: some ScheduleConvertible = 0, centered: Bool = false, weightDecay: some ScheduleConvertible = 0,
        maximize: Bool = false, groups: [ParameterGroup] = []
    ) {
        self.init(
            learningRate: learningRate.schedule, alpha: alpha, epsilon: epsilon, momentum: momentum, centered: centered,
            weightDecay: weightDecay, maximize: maximize, groups: groups)
    }
}

extension Lion {
    /// Makes an optimizer with a learning rate of any number; otherwise as with a schedule.
    @_disfavoredOverload public init(
        learningRate: some ScheduleConvertible, beta1: some ScheduleConvertible = 0.9,
        beta2: some ScheduleConvertible = 0.99, weightDecay: some ScheduleConvertible = 0,
        moments: ElementType = .float32, maximize: Bool = false, groups: [ParameterGroup] = []
    ) {
        self.init(
            learningRate: learningRate.schedule, beta1: beta1, beta2: beta2, weightDecay: weightDecay, moments: moments,
            maximize: maximize, groups: groups)
    }
}

extension LAMB {
    /// Makes an optimizer with a learning rate of any number; otherwise as with a schedule.
    @_disfavoredOverload public init(
        learningRate: some ScheduleConvertible, beta1: some ScheduleConvertible = 0.9,
        beta2: some ScheduleConvertible = 0.999, epsilon: Float = 1e-6, weightDecay: some ScheduleConvertible = 0,
        maximize: Bool = false, groups: [ParameterGroup] = []
    ) {
        self.init(
            learningRate: learningRate.schedule, beta1: beta1, beta2: beta2, epsilon: epsilon, weightDecay: weightDecay,
            maximize: maximize, groups: groups)
    }
}

extension Adagrad {
    /// Makes an optimizer with a learning rate of any number; otherwise as with a schedule.
    @_disfavoredOverload public init(
        learningRate: some ScheduleConvertible, learningRateDecay: Float = 0, initialAccumulator: Float = 0,
        epsilon: Float = 1e-10, weightDecay: some ScheduleConvertible = 0, maximize: Bool = false,
        groups: [ParameterGroup] = []
    ) {
        self.init(
            learningRate: learningRate.schedule, learningRateDecay: learningRateDecay,
            initialAccumulator: initialAccumulator, epsilon: epsilon, weightDecay: weightDecay, maximize: maximize,
            groups: groups)
    }
}
