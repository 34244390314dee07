import Descent
import TestSupport

/// Draws sequences from seeds.
struct SequenceGenerator: RandomChoices {
    var generator: SeededGenerator
    let features: Set<Feature>

    /// The sequence of a seed.
    static func sequence(seed: UInt64, features: Set<Feature> = Feature.chosen) -> CallSequence {
        var generator = SequenceGenerator(
            generator: SeededGenerator(seed: seed &* 0x9e37_79b9_7f4a_7c15 &+ 1), features: features)
        return generator.sequence(seed)
    }

    /// Whether to make use of a feature, if it is not left out.
    mutating func uses(_ feature: Feature, oneIn count: Int) -> Bool {
        let isLucky = isLucky(oneIn: count)
        return isLucky && features.contains(feature)
    }

    private mutating func sequence(_ seed: UInt64) -> CallSequence {
        let tensors = tensors()
        var subjects: [Subject] = []
        let sharedScale = uses(.sharedScale, oneIn: 12) ? scale(isDynamic: true) : nil
        for _ in 0..<(sharedScale == nil ? 1 : 2) { subjects.append(subject(tensors, sharesScale: sharedScale != nil)) }
        var calls: [Call] = []
        for _ in 0..<number(2...14) { calls += self.calls(for: subjects, tensors) }
        var parameters = Gradients(seed: seed)
        if uses(.signedZeros, oneIn: 8) { parameters.kind = .signedZeros }
        return CallSequence(
            seed: seed, tensors: tensors, parameters: parameters, subjects: subjects, sharedScale: sharedScale,
            calls: calls)
    }

    private mutating func tensors() -> [CallSequence.Tensor] {
        let shapes: [[Int]] = [
            [], [1], [3], [5], [2, 3], [1, 4], [3, 2], [4, 1], [2, 2, 2], [17], [2, 20], [0], [0, 3], [2, 0],
        ]
        return (0..<number(1...4)).map { index in
            CallSequence.Tensor(
                name: ["a.weight", "a.bias", "b.weight", "b.bias"][index], shape: element(shapes),
                outputAxis: isLucky(oneIn: 4) ? .last : .first)
        }
    }

    private mutating func subject(_ tensors: [CallSequence.Tensor], sharesScale: Bool) -> Subject {
        let isChain = uses(.chains, oneIn: 6)
        var subject = Subject(stages: stages(tensors, sharesScale: sharesScale))
        if !isChain {
            subject.optimizer = OptimizerSetting(kind: element(OptimizerSetting.Kind.allCases), rate: rate())
        }
        switch number(0...9) {
        case 0...1: subject.policy = .skipAtMost(number(1...3))
        case 2 where features.contains(.propagating): subject.policy = .propagate
        default: break
        }
        subject.blockLength = element([1, 4, 16, 64])
        subject.threads = isLucky(oneIn: 20) ? 2 : 1
        if uses(.companions, oneIn: 4), !sharesScale {
            let kind = element(Subject.Companion.allCases)
            subject.companion = kind == .anotherThread && !isLucky(oneIn: 4) ? .portable : kind
            if isChain, subject.companion == .whole { subject.companion = .portable }
        }
        return subject
    }

    private mutating func rate() -> Rate {
        switch number(0...5) {
        case 0: return .exponential(0.5, rate: 0.5)
        case 1: return .table([0.25, 1, 0.5])
        case 2 where uses(.settingsThatRunOut, oneIn: 4): return .table([0.5, 0.25, .nan])
        default: return .constant(0.25)
        }
    }

    private mutating func scale(isDynamic: Bool) -> ScaleSetting {
        var setting = ScaleSetting()
        setting.isDynamic = isDynamic
        setting.initial = element([2, 16, 64])
        setting.growthInterval = number(1...3)
        setting.hysteresis = number(1...2)
        setting.minimum = element([1, 1, 2])
        return setting
    }

    // MARK: Stages

    private mutating func stages(_ tensors: [CallSequence.Tensor], sharesScale: Bool) -> [StageSpecification] {
        var stages: [StageSpecification] = []
        var numbers = 0
        func append(_ stage: StageSpecification) { stages.append(stage) }
        let accumulates = isLucky(oneIn: 2)
        let unscale: StageSpecification? =
            sharesScale
            ? StageSpecification(kind: .unscaleShared)
            : isLucky(oneIn: 2) ? StageSpecification(kind: .unscale(scale(isDynamic: !isLucky(oneIn: 4)))) : nil
        let unscalesFirst = unscale != nil && isLucky(oneIn: 4)
        if accumulates {
            if isLucky(oneIn: 3) {
                if unscalesFirst, let unscale { stages.append(unscale) }
                for _ in 0..<number(0...2) {
                    let isTrue = unscalesFirst || unscale == nil
                    let stage = isTrue ? anything(tensors, &numbers) : anywhere(tensors, &numbers)
                    // Whether a slot of a stage before the accumulation moves with a window that is skipped is open.
                    if case .remembering = stage.kind { continue }
                    append(stage)
                }
            } else if unscalesFirst, let unscale {
                stages.append(unscale)
            }
            let drops = uses(.dropping, oneIn: 3)
            append(
                StageSpecification(
                    kind: .accumulate(
                        steps: number(1...3), element([.mean, .sum, .weighted]), drops ? .dropMicroBatch : .skipWindow))
            )
        }
        if isLucky(oneIn: 4) { append(anywhere(tensors, &numbers)) }
        if let unscale, !(accumulates && unscalesFirst) { stages.append(unscale) }
        for _ in 0..<number(0...3) { append(anything(tensors, &numbers)) }
        return stages
    }

    /// A stage that works on scaled gradients, too.
    private mutating func anywhere(_ tensors: [CallSequence.Tensor], _ numbers: inout Int) -> StageSpecification {
        numbers += 1
        switch number(0...5) {
        case 0: return StageSpecification(kind: .scale(factor()), prefix: prefix(tensors))
        case 1: return StageSpecification(kind: .centralize, prefix: prefix(tensors))
        case 2: return StageSpecification(kind: .zeroNonFinite, prefix: prefix(tensors))
        default: return StageSpecification(kind: .faulty(number: numbers, needsNorm: isLucky(oneIn: 2)))
        }
    }

    private mutating func factor() -> Rate {
        if uses(.settingsThatRunOut, oneIn: 8) { return .table([0.5, .infinity]) }
        return isLucky(oneIn: 4) ? .table([2, -0.5, 0.25]) : .constant(element([0.5, -1, 3]))
    }

    private mutating func anything(_ tensors: [CallSequence.Tensor], _ numbers: inout Int) -> StageSpecification {
        let limit = element([0.125, 0.5, 1, 4] as [Float])
        numbers += 1
        switch number(0...14) {
        case 0: return StageSpecification(kind: .clipByValue(limit), prefix: prefix(tensors))
        case 1: return StageSpecification(kind: .clipByNorm(limit), prefix: prefix(tensors))
        case 2, 3:
            return StageSpecification(
                kind: .clipByGlobalNorm(limit, element([.l2, .l1, .lInfinity])), prefix: prefix(tensors))
        case 4: return StageSpecification(kind: .clipLayerwise(limit), prefix: prefix(tensors))
        case 5: return StageSpecification(kind: .clipAdaptively(limit), prefix: prefix(tensors))
        case 6: return StageSpecification(kind: .normalize, prefix: prefix(tensors))
        case 7 where features.contains(.masks): return StageSpecification(kind: .mask(prefix: element(tensors).name))
        case 8 where features.contains(.freezing):
            return StageSpecification(kind: .freeze(prefix: element(tensors).name))
        case 9: return StageSpecification(kind: .remembering(number: numbers), prefix: prefix(tensors))
        default: return anywhere(tensors, &numbers)
        }
    }

    private mutating func prefix(_ tensors: [CallSequence.Tensor]) -> String? {
        guard uses(.restricted, oneIn: 5) else { return nil }
        let name = element(tensors).name
        return isLucky(oneIn: 2) ? name : String(name.prefix(1))
    }
}
