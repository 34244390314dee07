package import Descent

// Stages and an optimizer that use what they do not declare.

/// Keeps a mean in a slot that it does not declare.
package struct SmoothsIntoNothing: GradientTransform {
    package init() {}

    package func transform(_ block: inout some GradientBlock) {
        block.withElementsAndSlot { gradient, slot in
            for index in gradient.indices {
                slot[index] = 0.5 * (slot[index] + gradient[index])
                gradient[index] = slot[index]
            }
        }
    }
}

/// Declares one slot and uses two.
package struct ForgetsItsSlots: Optimizer {
    package var learningRate: Schedule { 1 }
    package var slots: [Slot] { ["first"] }

    package init() {}

    package func update(_ block: inout some UpdateBlock) {
        block.updateEach { gradient, parameter, first, second in
            first += gradient
            second += first
            parameter -= second
        }
    }
}

/// Reads a norm that it does not declare.
package struct ReadsUndeclared: GradientScaling {
    package init() {}

    package mutating func prepare(_ step: inout StepPreparation) {
        step.scale(by: step.incoming.norm(.l1) > 1 ? 0.5 : 1)
    }
}

/// Looks at the parameters without saying so.
package struct ReadsParameters: GradientTransform {
    package init() {}

    package func transform(_ block: inout some GradientBlock) {
        block.withElements { (gradient: inout MutableSpan<Float>, parameters: Span<Float>) in
            for index in parameters.indices { gradient[index] += 0.5 * parameters[index] }
        }
    }
}
