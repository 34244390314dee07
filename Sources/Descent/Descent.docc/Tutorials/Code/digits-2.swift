import Descent
import DigitsModel
import SeededNumbers

let (training, heldOut) = try Digits.load().split(heldOut: 360, seed: 1)
var parameters = try Perceptron.initialParameters(seed: 1)
var gradients = TensorSet(zeros: parameters.layout)

print("\(training.count) images, \(heldOut.count) held out")
for parameter in parameters.layout {
    print(parameter.name, parameter.shape)
}
