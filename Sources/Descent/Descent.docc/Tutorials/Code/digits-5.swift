import Descent
import DigitsModel
import SeededNumbers

let (training, heldOut) = try Digits.load().split(heldOut: 360, seed: 1)
var parameters = try Perceptron.initialParameters(seed: 1)
var gradients = TensorSet(zeros: parameters.layout)
var exact = gradients

var optimizer = try Pipeline(for: parameters) {
    Unscale(.dynamic(initial: 16_777_216, growthInterval: 500))
} driving: {
    AdamW(learningRate: 0.003)
}

var order = Array(0..<training.count)
var random = SeededGenerator(seed: 1)
for epoch in 1...20 {
    var nonzero = 0, lost = 0
    order.shuffle(using: &random)
    for start in stride(from: 0, to: order.count, by: 8) {
        let batch = training.selecting(order[start..<min(start + 8, order.count)])
        let model = Perceptron(parameters)
        let activations = model.forward(batch.images)
        let loss = CrossEntropy(activations.logits, batch.labels)
        let scale = optimizer.lossScale
        model.backward(loss.gradient(scale: scale), through: activations, precision: .float16, into: &gradients)
        model.backward(loss.gradient(scale: 1), through: activations, precision: .float32, into: &exact)
        for parameter in parameters.layout {
            for (half, single) in zip(gradients[parameter.name], exact[parameter.name]) where single != 0 {
                nonzero += 1
                if half == 0 { lost += 1 }
            }
        }
        _ = try optimizer.step(&parameters, gradients: gradients, lossScale: scale)
    }
    let correct = Perceptron(parameters).accuracy(on: heldOut)
    let share = (Double(lost) / Double(nonzero) * 1_000).rounded() / 10
    print("epoch \(epoch): \((correct * 1_000).rounded() / 10) % recognized, \(share) % of gradients lost")
}
