import Descent

extension Rate {
    /// The schedule that the pipeline is given.
    var schedule: Schedule {
        switch self {
        case .constant(let value): .constant(value)
        case .exponential(let initial, let rate): .exponential(initial: initial, rate: rate, transitionSteps: 1)
        case .table: .custom("table") { value(at: $0) }
        }
    }
}

extension ScaleSetting {
    /// The setting that the pipeline is given.
    var lossScale: LossScale {
        isDynamic
            ? .dynamic(
                initial: initial, growthFactor: 2, backoffFactor: 0.5, growthInterval: growthInterval,
                hysteresis: hysteresis, minimum: minimum, maximum: maximum)
            : .static(initial)
    }
}

extension StageSpecification {
    /// The stage that the pipeline is given.
    func make(_ shared: SharedLossScale?, _ command: FaultSwitch) -> any Stage {
        switch kind {
        case .scale(let rate): restricted(Scale(by: rate.schedule))
        case .accumulate(let steps, let reduction, let nonFinite):
            Accumulate(steps: steps, reduction: reduction, nonFinite: nonFinite)
        case .unscale(let setting): Unscale(setting.lossScale)
        case .unscaleShared: shared.map { Unscale($0) } ?? Unscale(.static(1))
        case .clipByValue(let limit): restricted(ClipByValue(limit))
        case .clipByNorm(let maximum): restricted(ClipByNorm(maximum))
        case .clipByGlobalNorm(let maximum, let norm): restricted(ClipByGlobalNorm(maximum, norm: norm))
        case .clipLayerwise(let maximum): restricted(ClipLayerwise(default: maximum))
        case .clipAdaptively(let factor): restricted(ClipAdaptively(factor: factor))
        case .centralize: restricted(Centralize())
        case .normalize: restricted(Normalize())
        case .mask(let prefix): Mask(prefix: prefix)
        case .freeze(let prefix): Freeze(prefix: prefix)
        case .zeroNonFinite: restricted(ZeroNonFinite())
        case .faulty(let number, let needsNorm): FaultyStage(number: number, needsNorm: needsNorm, command: command)
        case .remembering(let number): restricted(RememberingStage(number: number))
        }
    }

    private func restricted(_ stage: some GradientTransform) -> any Stage {
        if let prefix { stage.only(prefix: prefix) } else { stage }
    }
}

extension OptimizerSetting {
    /// The optimizer that the pipeline is given.
    func make() -> any Driving {
        let rate = rate.schedule
        return switch kind {
        case .plainSGD: SGD(learningRate: rate)
        case .maximizingSGD: SGD(learningRate: rate, maximize: true)
        case .momentumSGD: SGD(learningRate: rate, momentum: 0.5, weightDecay: 0.25)
        case .nesterovSGD: SGD(learningRate: rate, momentum: 0.5, nesterov: true, maximize: true)
        case .dampenedSGD: SGD(learningRate: rate, momentum: 0.5, dampening: 0.25)
        case .adam: Adam(learningRate: rate, beta1: 0.5, beta2: 0.75, epsilon: 1e-3, weightDecay: 0.25)
        case .amsgrad: Adam(learningRate: rate, beta1: 0.5, beta2: 0.75, epsilon: 1e-3, amsgrad: true)
        case .adamW:
            AdamW(
                learningRate: rate, beta1: 0.5, beta2: 0.75, epsilon: 1e-3, weightDecay: 0.25,
                groups: [.vectorsWithoutDecay])
        case .rmsProp: RMSProp(learningRate: rate, alpha: 0.75, epsilon: 1e-3)
        case .momentumRMSProp:
            RMSProp(learningRate: rate, alpha: 0.75, epsilon: 1e-3, momentum: 0.5, weightDecay: 0.25)
        case .adagrad:
            Adagrad(learningRate: rate, learningRateDecay: 0.5, initialAccumulator: 0.25, epsilon: 1e-3)
        case .lion: Lion(learningRate: rate, beta1: 0.5, beta2: 0.75, weightDecay: 0.25)
        }
    }
}
