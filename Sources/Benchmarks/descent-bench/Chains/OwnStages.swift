import Descent

// What built-in stages do, written as an author of a package would: with what is public, and no kernels.

/// `ClipByValue(limit)`: min(max(g, -limit), limit), with NaN kept.
struct OwnClipByValue: GradientTransform {
    let limit: Float

    var order: StageOrder { .trueGradients }

    func transform(_ block: inout some GradientBlock) {
        block.transformEach { element in
            let raised = element < -limit ? -limit : element
            element = raised > limit ? limit : raised
        }
    }
}

/// `ClipByNorm(maximum)`: g * min(1, maximum / (n + 1e-6)), n the norm of each tensor.
struct OwnClipByNorm: GradientScaling {
    let maximum: Float

    var order: StageOrder { .trueGradients }
    var requirements: [Requirement] { [.norm(.l2)] }

    func prepare(_ step: inout StepPreparation) {
        for parameter in step.layout.indices {
            let norm = step.incoming.norm(.l2, of: parameter)
            let factor = Float(min(1, Double(maximum) / (norm + 1e-6)))
            if factor < 1 { step.scale(parameter, by: factor) }
        }
    }
}
