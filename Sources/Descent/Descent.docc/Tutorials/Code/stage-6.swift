import ClipSpikesStage
import Descent

var parameters = try TensorSet([ParameterDescription("weight", shape: [2])])
var optimizer = try Pipeline(for: parameters) {
    ClipSpikes(limit: 4, decay: 0.5)
    ClipByGlobalNorm(10)
} driving: {
    SGD(learningRate: 1)
}
for gradient in [[1, 1], [1, 100], [1, 1]] as [[Float]] {
    let gradients = try TensorSet(["weight": gradient], layout: parameters.layout)
    _ = try optimizer.step(&parameters, gradients: gradients)
    print(parameters["weight"])
}
print("\(optimizer.sweepCount) sweeps")
