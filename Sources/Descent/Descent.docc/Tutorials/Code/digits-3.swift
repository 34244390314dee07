import Descent
import DigitsModel
import SeededNumbers

let (training, heldOut) = try Digits.load().split(heldOut: 360, seed: 1)
var parameters = try Perceptron.initialParameters(seed: 1)
var gradients = TensorSet(zeros: parameters.layout)

var optimizer = try Pipeline(for: parameters) {
} driving: {
    AdamW(learningRate: 0.003)
}

var order = Array(0..<training.count)
var random = SeededGenerator(seed: 1)
for epoch in 1...20 {
    order.shuffle(using: &random)
    for start in stride(from: 0, to: order.count, by: 8) {
        let batch = training.selecting(order[start..<min(start + 8, order.count)])
        let model = Perceptron(parameters)
        let activations = model.forward(batch.images)
        let loss = CrossEntropy(activations.logits, batch.labels)
        model.backward(loss.gradient(scale: 1), through: activations, precision: .float32, into: &gradients)
        _ = try optimizer.step(&parameters, gradients: gradients)
    }
    let correct = Perceptron(parameters).accuracy(on: heldOut)
    print("epoch \(epoch): \((correct * 1_000).rounded() / 10) % recognized")
}
