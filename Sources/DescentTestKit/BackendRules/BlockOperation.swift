import DescentCore

/// Something that can be done to a block.
enum BlockOperation: Sendable, Equatable {
    case scale(Float)
    case subtractRowMeans
    case clamp(ClosedRange<Float>)
    case zeroNonFinite
    case addNormalNoise(seed: UInt64)
    case clipRows
    case norm(Norm)
    case parameterNorm(Norm)
    case decayedNorm(Float)
    case nonFiniteCount
    case count(below: Float)
    case histogram
    case accumulate(factor: Float, overwriting: Bool)
    case store
    case squareEach
    case sgd(momentum: Double, nesterov: Bool, isFirst: Bool)
    case adam(decoupled: Bool, amsgrad: Bool)
    case sgdDirection(momentum: Double, nesterov: Bool)
    case adamDirection(decoupled: Bool, amsgrad: Bool, keepsSlots: Bool)
    case blend(weight: Float, replacing: Bool)
    case measuredUpdate
    case load
    case differenceFromRemembered
    case agreeing

    /// What a gradient may go through on its way to the end of a chain.
    static let transforms: [BlockOperation] = [
        .scale(0.37), .scale(-2), .subtractRowMeans, .clamp(-0.5...0.75), .zeroNonFinite, .clipRows, .norm(.l1),
        .norm(.l2), .norm(.lInfinity), .norm(.lp(3)), .nonFiniteCount, .count(below: 0.5), .histogram,
        .parameterNorm(.l2), .decayedNorm(0.3), .decayedNorm(0), .accumulate(factor: 0.5, overwriting: true),
        .accumulate(factor: 2, overwriting: false),
        .squareEach, .addNormalNoise(seed: 5), .load, .differenceFromRemembered,
        .agreeing,
    ]

    /// What may be at the end.
    static let ends: [BlockOperation] = [
        .store, .sgd(momentum: 0, nesterov: false, isFirst: true), .sgd(momentum: 0.9, nesterov: false, isFirst: true),
        .sgd(momentum: 0.9, nesterov: true, isFirst: false), .adam(decoupled: true, amsgrad: false),
        .adam(decoupled: false, amsgrad: true), .sgdDirection(momentum: 0.9, nesterov: true),
        .adamDirection(decoupled: true, amsgrad: false, keepsSlots: true),
        .adamDirection(decoupled: false, amsgrad: true, keepsSlots: true),
        .adamDirection(decoupled: true, amsgrad: true, keepsSlots: false), .blend(weight: 0.25, replacing: true),
        .blend(weight: 1, replacing: false), .measuredUpdate,
    ]

    /// Does it, and gives the numbers that it measures.
    func perform(on block: inout some UpdateBlock) -> [Double] {
        block.rates = UpdateRates(learningRate: 0.1, weightDecay: 0.01)
        block.slotAccess = SlotAccess(first: 1, count: 3)
        switch self {
        case .scale(let factor): block.scale(by: factor)
        case .subtractRowMeans: block.subtractRowMeans()
        case .clamp(let range): block.clamp(to: range)
        case .zeroNonFinite: block.zeroNonFinite()
        case .addNormalNoise(let seed):
            block.addNormalNoise(NormalNoise(deviation: 0.5, seed: seed, parameter: block.parameterIndex, step: 3))
        case .clipRows: block.clipRows(factor: 0.5, minimumNorm: 0.001, epsilon: 1e-6)
        case .norm(let norm): return [block.norm(norm)]
        case .parameterNorm(let norm): return [block.parameterNorm(norm)]
        case .decayedNorm(let decay): return [block.decayedNorm(decay)]
        case .nonFiniteCount: return [Double(block.nonFiniteCount())]
        case .count(let limit): return [Double(block.count(below: limit))]
        case .histogram:
            var histogram = MagnitudeHistogram()
            block.addElements(to: &histogram)
            return [Double(histogram.count), Double(histogram.nanCount), Double(histogram.infiniteCount)]
        case .accumulate(let factor, let overwriting):
            block.accumulate(onto: overwriting ? nil : 0, into: 0, factor: factor)
        case .store: block.store()
        case .load: block.load(slot: 3)
        case .differenceFromRemembered:
            block.rememberGradient()
            block.scale(by: Float(1.5))
            block.slotAccess.readsGradient = true
            return block.withUnsafeElements { memory in
                for index in memory.original.indices { memory.gradient[index] -= memory.original[index] / 4 }
                return [Double(memory.original.count)]
            }
        case .agreeing:
            block.rememberGradient()
            block.scale(by: Float(-0.5))
            block.transformEach { $0 += 0.25 }
            block.slotAccess.readsGradient = true
            let count = block.agreeingCount()
            block.scaleAgreeing(by: 1.5)
            return [Double(count)]
        case .squareEach: block.transformEach { $0 *= $0 }
        case .sgd(let momentum, let nesterov, let isFirst):
            block.apply(
                SGDRule(momentum: momentum, dampening: 0, nesterov: nesterov, maximize: false, isFirst: isFirst))
        case .adam(let decoupled, let amsgrad):
            block.apply(
                AdamRule(
                    beta1: 0.9, beta2: 0.99, epsilon: 0.1, amsgrad: amsgrad, decouplesWeightDecay: decoupled, step: 3))
        case .sgdDirection(let momentum, let nesterov):
            block.makeDirection(
                SGDRule(momentum: momentum, dampening: 0, nesterov: nesterov, maximize: true, isFirst: false))
        case .adamDirection(let decoupled, let amsgrad, let keepsSlots):
            block.slotAccess.isKept = keepsSlots
            block.makeDirection(
                AdamRule(
                    beta1: 0.9, beta2: 0.99, epsilon: 0.1, amsgrad: amsgrad, decouplesWeightDecay: decoupled,
                    maximize: !amsgrad, step: 3))
        case .blend(let weight, let replacing): block.blendParameters(into: 1, weight: weight, replacing: replacing)
        case .measuredUpdate:
            block.rememberParameters()
            block.updateEach { gradient, parameter in parameter -= 0.5 * gradient }
            return [block.updateNorm()]
        }
        return []
    }
}
