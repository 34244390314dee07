import Descent
import DescentDifferentiation
import _Differentiation

var network = Network()
var optimizer = try ModelOptimizer(
    for: network,
    parameters: [
        ModelParameter(\.hidden.weight, \.hidden.weight, shape: [16, 2]),
        ModelParameter(\.hidden.bias, \.hidden.bias),
        ModelParameter(\.output.weight, \.output.weight, shape: [1, 16]),
        ModelParameter(\.output.bias, \.output.bias),
        ModelParameter(\.gain, \.gain),
    ]
) {
    ClipByGlobalNorm(1)
} driving: {
    AdamW(learningRate: .warmupCosine(peak: 0.02, warmup: 10, total: 300), weightDecay: 0)
}

for step in 0..<300 {
    let (error, gradient) = valueWithGradient(at: network) { $0.error() }
    try optimizer.update(&network, along: gradient)
    if step % 100 == 0 { print("error \(error)") }
}
print("error \(network.error())")
print("0.5 times 0.75 is \(network(0.5, 0.75))")
