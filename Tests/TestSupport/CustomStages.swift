package import Descent

// Custom stages and an optimizer, as another package would write them: with nothing but `import Descent`.

/// Squashes every element.
package struct Squash: GradientTransform {
    package init() {}

    package func transform(_ block: inout some GradientBlock) {
        block.transformEach { $0 /= 1 + $0.magnitude }
    }
}

/// Brings the gradient to a norm of 1.
package struct UnitNorm: GradientScaling {
    package init() {}

    package var requirements: [Requirement] { [.norm(.l2)] }

    package mutating func prepare(_ step: inout StepPreparation) {
        step.scale(by: 1 / (Float(step.incoming.norm(.l2)) + 1e-6))
    }
}

/// A running mean of gradients, with a slot.
package struct Smooth: GradientTransform {
    package let decay: Float
    package var slots: [Slot] { ["mean"] }

    package init(decay: Float) { self.decay = decay }

    package func transform(_ block: inout some GradientBlock) {
        block.withElementsAndSlot { elements, mean in
            for index in elements.indices {
                mean[index] = decay * mean[index] + (1 - decay) * elements[index]
                elements[index] = mean[index]
            }
        }
    }
}

/// Moves every parameter by the learning rate, against the sign of its gradient.
package struct SignSGD: Optimizer {
    package var learningRate: Schedule

    package init(learningRate: Schedule) { self.learningRate = learningRate }

    package func update(_ block: inout some UpdateBlock) {
        let rate = block.rates.learningRate
        block.updateEach { gradient, parameter in
            parameter -= gradient == 0 ? 0 : gradient > 0 ? rate : -rate
        }
    }
}
