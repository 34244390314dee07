package import Descent
import SeededNumbers

/// A layout, a chain of one to eight stages in a valid order, and an optimizer, all drawn from a seed.
///
/// All of them are continuous in their input, so that two ways to round give results that are close: epsilons are
/// larger than usual, and nothing takes a sign.
package struct RandomCase {
    package let layout: ParameterLayout
    package let stages: [any Stage]
    package let optimizer: any Driving

    package init(seed: UInt64) throws {
        var draw = Draw(generator: SeededGenerator(seed: seed &* 0x9e37_79b9 &+ 1))
        layout = try draw.layout()
        stages = draw.chain(for: layout)
        optimizer = draw.optimizer()
    }

    /// What the case is, for messages.
    package var description: String {
        let shapes = layout.map { "\($0.shape)\($0.outputAxis == .last ? " last" : "")" }
        return "\(stages.map(\.name)), \(optimizer.branches.map(\.optimizer.name)), \(shapes)"
    }

    /// Gradients for one micro-batch; now and then, if that is wanted, with an element that is not finite.
    package func gradients(seed: UInt64, spoiled: Bool = false) -> TensorSet {
        var generator = SeededGenerator(seed: seed)
        var gradients = TensorSet.random(layout, seed: seed &+ 1000)
        let names = layout.filter { $0.count > 0 }.map(\.name)
        if spoiled, Int.random(in: 0..<4, using: &generator) == 0 {
            let name = names[Int.random(in: 0..<names.count, using: &generator)]
            let index = Int.random(in: 0..<gradients[name].count, using: &generator)
            gradients[name][index] = Bool.random(using: &generator) ? .nan : .infinity
        }
        return gradients
    }
}

/// Draws the parts of a case.
private struct Draw: RandomChoices {
    var generator: SeededGenerator

    /// Two to six tensors of rank 0 to 4, some of them empty, and a bias that is not.
    mutating func layout() throws -> ParameterLayout {
        var parameters: [ParameterDescription] = []
        for index in 0..<number(1...5) {
            let shape = (0..<number(0...4)).map { _ in isLucky(oneIn: 20) ? 0 : number(1...4) }
            let longShape = isLucky(oneIn: 3) ? shape.dropLast() + [number(14...20)] : shape
            parameters.append(
                try ParameterDescription(
                    "layer\(index / 2).\(index % 2 == 0 ? "weight" : "bias")", shape: longShape,
                    outputAxis: isLucky(oneIn: 2) ? .last : .first))
        }
        parameters.append(try ParameterDescription("last.bias", shape: [7]))
        return try ParameterLayout(parameters)
    }

    mutating func optimizer() -> any Driving {
        switch number(0...9) {
        case 0: SGD(learningRate: 0.1, weightDecay: 0.1)
        case 1: SGD(learningRate: 0.1, momentum: 0.9, nesterov: true)
        case 2: AdamW(learningRate: 0.1, epsilon: 0.1, groups: [.vectorsWithoutDecay])
        case 3: Adam(learningRate: 0.1, epsilon: 0.1, weightDecay: 0.1, amsgrad: true)
        case 4: RMSProp(learningRate: 0.1, epsilon: 0.1, momentum: 0.5)
        case 5: Adagrad(learningRate: 0.1, initialAccumulator: 0.1)
        case 6: LAMB(learningRate: 0.1, epsilon: 0.1, weightDecay: 0.1)
        case 7: SGD(learningRate: 0.1).lookingAhead(synchronizationPeriod: 2)
        case 8: LAMB(learningRate: 0.1, epsilon: 0.1).averagingParameters(decay: 0.5)
        default: SGD(learningRate: 0.1, momentum: 0.5, dampening: 0.5, maximize: true)
        }
    }

    mutating func chain(for layout: ParameterLayout) -> [any Stage] {
        let count = number(1...8)
        var stages: [any Stage] = []
        let accumulates = isLucky(oneIn: 2)
        if accumulates {
            for _ in 0..<number(0...2) where stages.count + 1 < count { stages.append(anywhere(layout)) }
            let reductions: [Accumulate.Reduction] = [.mean, .sum, .weighted]
            stages.append(
                Accumulate(
                    steps: number(1...3), reduction: reductions[number(0...2)],
                    nonFinite: isLucky(oneIn: 2) ? .dropMicroBatch : .skipWindow))
        }
        if isLucky(oneIn: 2), stages.count < count {
            stages.append(Unscale(isLucky(oneIn: 2) ? .static(2) : .dynamic(initial: 1024, growthInterval: 2)))
        }
        while stages.count < count { stages.append(anything(layout)) }
        return stages
    }

    /// A stage that works on scaled gradients and on micro-batches, too.
    private mutating func anywhere(_ layout: ParameterLayout) -> any Stage {
        switch number(0...4) {
        case 0: Scale(by: .constant(Double(number(0.2...2)) * (isLucky(oneIn: 4) ? -1 : 1)))
        case 1, 2: restricted(Centralize(), layout)
        case 3: restricted(ZeroNonFinite(), layout)
        default: restricted(Squash(), layout)
        }
    }

    private mutating func anything(_ layout: ParameterLayout) -> any Stage {
        let limit = number(0.05...2)
        switch number(0...15) {
        case 0, 1: return anywhere(layout)
        case 2: return restricted(ClipByValue(-limit...limit / 2), layout)
        case 3: return restricted(ClipByNorm(limit), layout)
        case 4, 5:
            let norms: [Norm] = [.l1, .l2, .lInfinity, .lp(3)]
            return restricted(ClipByGlobalNorm(limit, norm: norms[number(0...3)]), layout)
        case 6: return restricted(ClipLayerwise(default: limit, layers: ["last": limit / 2]), layout)
        case 7: return restricted(ClipAdaptively(factor: limit, epsilon: 0.1), layout)
        case 8: return restricted(ClipByPercentile(Float(number(1...100)), historyLength: number(1...3)), layout)
        case 9: return restricted(ClipByZScore(threshold: limit, decay: 0.5, warmup: number(1...2)), layout)
        case 10: return restricted(Normalize(epsilon: 0.1), layout)
        case 11: return restricted(AddNoise(eta: limit, seed: generator.next()), layout)
        case 12: return Freeze(prefix: prefix(layout))
        case 13: return restricted(Mask(prefix: prefix(layout)), layout)
        case 14: return restricted(Smooth(decay: number(0...0.9)), layout)
        default: return restricted(Centralize(), layout)
        }
    }

    /// The name of a layer, or of a single parameter.
    private mutating func prefix(_ layout: ParameterLayout) -> String {
        let parameter = layout[number(0...layout.count - 1)]
        return isLucky(oneIn: 2) ? parameter.layer : parameter.name
    }

    private mutating func restricted(
        _ stage: some GradientTransform, _ layout: ParameterLayout
    ) -> any Stage {
        guard isLucky(oneIn: 5) else { return stage }
        let prefix = prefix(layout)
        return stage.only { $0.name.hasPrefix(prefix) }
    }
}
