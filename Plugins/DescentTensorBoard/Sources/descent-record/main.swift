import Descent
import DescentTensorBoard

var parameters = try TensorSet([
    ParameterDescription("fc.weight", shape: [10, 64]), ParameterDescription("fc.bias", shape: [10]),
])
var optimizer = try Pipeline(for: parameters, configuration: .init(reporting: [.layerNorms, .updateRatio])) {
    Unscale(.dynamic())
    ClipByGlobalNorm(1)
} driving: {
    AdamW(learningRate: .warmupCosine(peak: 0.05, warmup: 20, total: 200))
}

let board = try TensorBoardWriter(folder: CommandLine.arguments.dropFirst().first ?? "runs/example")
board.attach(to: &optimizer)

for step in 1...200 {
    let makesHistograms = step % 50 == 0
    if makesHistograms { optimizer.requestHistograms() }
    let (loss, gradients) = lossWithGradients(at: parameters, scale: optimizer.lossScale)
    _ = try optimizer.step(&parameters, gradients: gradients)
    board.scalar("loss", loss, step: optimizer.appliedSteps)
    if makesHistograms { board.histograms(of: optimizer) }
}
try board.close()
print("wrote \(board.path)")
