import Descent

/// Half the squared distance of all parameters from a wave, and its gradients times a scale: stands for a model.
func lossWithGradients(at parameters: TensorSet, scale: Float) -> (loss: Float, gradients: TensorSet) {
    var gradients = TensorSet(zeros: parameters.layout)
    var loss: Float = 0
    for parameter in parameters.layout {
        let differences = parameters[parameter.name].enumerated().map { index, value in
            value - Float(index % 7) / 7
        }
        loss += differences.reduce(0) { $0 + $1 * $1 / 2 }
        gradients[parameter.name] = differences.map { $0 * scale }
    }
    return (loss, gradients)
}
