import Descent

extension Model {
    /// What a part of the chain does to gradients.
    struct Pass {
        var gradients: [[Approximate]]
        /// Whether something that is not finite speaks against the step.
        var objects = false
        var norms: [Norm] = []
        var counts: [(stage: String, count: Int)] = []
        var slots: [String: [[Approximate]]] = [:]
        /// Whether a factor is not finite.
        var hasInvalidFactor = false
        var isUnknown = false
        /// Whether the report may hold what stages did before one of them turned the micro-batch down.
        var hasUncertainRecords = false

        /// A norm that a stage looked at.
        struct Norm {
            let stage: String
            let group: String?
            let before: Approximate
            let factor: Approximate
        }
    }

    /// Runs stages one after the other.
    func run(_ stages: Range<Int>, on gradients: [[Approximate]], checksInput: Bool) -> Pass {
        var pass = Pass(gradients: gradients)
        pass.hasInvalidFactor =
            subject.policy != .propagate
            && stages.contains {
                guard case .scale(let rate) = subject.stages[$0].kind else { return false }
                return !Float(rate.value(at: appliedSteps)).isFinite && !chosen(by: subject.stages[$0]).isEmpty
            }
        let repairing = stages.last { subject.stages[$0].repairs }
        if checksInput, repairing == nil { check(&pass) }
        for position in stages {
            // What comes after a veto does not matter.
            if pass.objects { break }
            run(position, &pass)
            if checksInput, repairing == position { check(&pass) }
        }
        if pass.objects || pass.hasInvalidFactor {
            pass.isUnknown = false
            return pass
        }
        pass.isUnknown =
            pass.isUnknown
            || layout.indices.contains { !frozen[$0] && pass.gradients[$0].contains { $0.isUnknown } }
        return pass
    }

    private func chosen(by stage: StageSpecification) -> [Int] {
        layout.indices.filter { !frozen[$0] && (stage.prefix.map(layout[$0].name.hasPrefix) ?? true) }
    }

    private func isFinite(_ numbers: [Approximate]) -> Bool { numbers.allSatisfy(\.isFinite) }

    private func check(_ pass: inout Pass) {
        for parameter in layout.indices where !frozen[parameter] && !isFinite(pass.gradients[parameter]) {
            pass.objects = true
        }
    }

    private func run(_ position: Int, _ pass: inout Pass) {
        let stage = subject.stages[position]
        let chosen = chosen(by: stage)
        if stage.needsFinite(layout) { check(&pass) }
        if pass.objects { return }
        if pass.gradients.joined().contains(where: \.isUnknown) { pass.isUnknown = true }
        func scale(_ parameters: [Int], _ factor: Approximate) {
            for parameter in parameters { pass.gradients[parameter] = pass.gradients[parameter].map { $0 * factor } }
        }
        func clip(_ parameters: [Int], _ norm: Approximate, _ maximum: Float, _ group: String?) {
            let factor = (Approximate(maximum) / (norm + Approximate(1e-6))).minimum(1)
            pass.norms.append(.init(stage: stageNames[position], group: group, before: norm, factor: factor))
            if norm.isUnknown { pass.isUnknown = true }
            scale(parameters, factor)
        }
        func norm(_ parameters: [Int]) -> Approximate { parameters.map { pass.gradients[$0] }.joined().norm }
        switch stage.kind {
        case .scale(let rate):
            let factor = rate.value(at: appliedSteps)
            if !Float(factor).isFinite {
                pass.isUnknown = true
                return
            }
            scale(chosen, Approximate(rounding: factor, 0))
        case .unscale, .unscaleShared: scale(chosen, Approximate(rounding: 1 / Double(lossScale), 0))
        case .clipByValue(let limit):
            for parameter in chosen {
                pass.gradients[parameter] = pass.gradients[parameter].map {
                    $0.clamped(to: Double(-limit)...Double(limit))
                }
            }
        case .clipByNorm(let maximum):
            for parameter in chosen { clip([parameter], norm([parameter]), maximum, layout[parameter].name) }
        case .clipByGlobalNorm where chosen.isEmpty: break
        case .clipByGlobalNorm(let maximum, let kind):
            let all = chosen.map { pass.gradients[$0] }.joined()
            clip(chosen, kind == .l1 ? all.sumOfMagnitudes : kind == .l2 ? all.norm : all.largest, maximum, nil)
        case .clipLayerwise(let maximum):
            var layers: [String] = []
            for parameter in chosen where !layers.contains(layout[parameter].layer) {
                layers.append(layout[parameter].layer)
            }
            for layer in layers {
                let parameters = chosen.filter { layout[$0].layer == layer }
                clip(parameters, norm(parameters), maximum, layer)
            }
        case .clipAdaptively(let factor):
            for parameter in chosen { clipAdaptively(parameter, Double(factor), &pass) }
        case .centralize:
            for parameter in chosen where layout[parameter].rank > 1 {
                for row in layout[parameter].rows {
                    let mean = row.map { pass.gradients[parameter][$0] }.mean
                    for index in row { pass.gradients[parameter][index] = pass.gradients[parameter][index] - mean }
                }
            }
        case .normalize: scale(chosen, Approximate(1) / (norm(chosen) + Approximate(1e-6)))
        case .mask(let prefix):
            for parameter in layout.indices where layout[parameter].name.hasPrefix(prefix) && !frozen[parameter] {
                pass.gradients[parameter] = pass.gradients[parameter].map { _ in Approximate(0) }
            }
        case .zeroNonFinite:
            var count = 0
            for parameter in chosen {
                if pass.gradients[parameter].contains(where: \.isAnything) { pass.isUnknown = true }
                count += pass.gradients[parameter].count { !$0.isFinite }
                pass.gradients[parameter] = pass.gradients[parameter].map { $0.isFinite ? $0 : Approximate(0) }
            }
            pass.counts.append((stageNames[position], count))
        case .remembering: remember(chosen, stageNames[position], &pass)
        case .accumulate, .freeze, .faulty: break
        }
    }

    private func clipAdaptively(_ parameter: Int, _ factor: Double, _ pass: inout Pass) {
        let description = layout[parameter]
        let units = description.isVector ? [Array(0..<description.count)] : description.rows
        for unit in units {
            if unit.contains(where: { !pass.gradients[parameter][$0].isFinite }) {
                for index in unit { pass.gradients[parameter][index] = .anything }
                continue
            }
            let norm = unit.map { pass.gradients[parameter][$0] }.norm
            let size = unit.map { Approximate(parameters[parameter][$0]) }.norm
            let limit = factor * Approximate.maximum(size, Approximate(1e-3))
            if norm.value + norm.error < limit.value - limit.error { continue }
            let scale = limit / Approximate.maximum(norm, Approximate(1e-6))
            for index in unit { pass.gradients[parameter][index] = pass.gradients[parameter][index] * scale }
        }
    }

    private func remember(_ chosen: [Int], _ name: String, _ pass: inout Pass) {
        let slot = "\(name).mean"
        var means = (slots[slot] ?? []).map { $0.map { Approximate($0) } }
        for parameter in chosen {
            for index in means[parameter].indices {
                let mean = 0.5 * means[parameter][index] + 0.5 * pass.gradients[parameter][index]
                means[parameter][index] = mean
                pass.gradients[parameter][index] = mean
            }
        }
        pass.slots[slot] = means
    }
}

extension StageSpecification {
    /// Whether what leaves the stage is checked instead of what comes in.
    var repairs: Bool {
        switch kind {
        case .zeroNonFinite, .mask: true
        default: false
        }
    }

    /// Whether the stage refuses gradients that are not finite.
    fileprivate func needsFinite(_ layout: ParameterLayout) -> Bool {
        switch kind {
        case .unscale, .unscaleShared, .clipByNorm, .clipByGlobalNorm, .clipLayerwise, .normalize: true
        case .clipAdaptively: layout.contains(where: \.isVector)
        case .faulty(_, let needsNorm): needsNorm
        case .scale, .accumulate, .clipByValue, .centralize, .mask, .freeze, .zeroNonFinite, .remembering: false
        }
    }
}

extension Swift.Sequence<Approximate> {
    /// The largest magnitude.
    fileprivate var largest: Approximate {
        reduce(Approximate(0)) { Approximate.maximum($0, Approximate(abs($1.value), error: $1.error)) }
    }
}

extension ParameterDescription {
    /// Whether it is one unit by its shape, and not because it has a single row.
    fileprivate var isVector: Bool { rank <= 1 || columnCount == 1 }

    /// The positions of the elements of each output unit.
    fileprivate var rows: [[Int]] {
        guard rank > 0, count > 0 else { return [] }
        let units = outputAxis == .last ? shape[rank - 1] : shape[0]
        let columns = count / units
        return (0..<units).map { unit in
            (0..<columns).map { outputAxis == .last ? $0 * units + unit : unit * columns + $0 }
        }
    }
}
