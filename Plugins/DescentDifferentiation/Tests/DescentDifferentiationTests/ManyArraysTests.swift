import Descent
import DescentDifferentiation
import Foundation
import Synchronization
import Testing
import _Differentiation

/// A model of many small arrays, among them one that is larger than the others.
private struct Tower: Differentiable {
    var top = [Float](repeating: 3, count: 100)
    var layers: [Layer]

    init(height: Int) { layers = [Layer](repeating: Layer(), count: height) }

    var parameters: [ModelParameter<Tower>] {
        [ModelParameter(\.top, \.top)]
            + layers.indices.flatMap { index in
                [
                    ModelParameter(\.layers[index].weight, \.layers[orZero: index].weight, named: "\(index).weight"),
                    ModelParameter(\.layers[index].bias, \.layers[orZero: index].bias, named: "\(index).bias"),
                ]
            }
    }

    /// The model itself, as a gradient.
    var gradient: TangentVector {
        var gradient = TangentVector.zero
        gradient.top = .init(top)
        gradient.layers = .init(layers.map { .init(weight: .init($0.weight), bias: .init($0.bias)) })
        return gradient
    }

    /// Whether every element is what a layer's was, times a factor.
    func isScaled(by factor: Float) -> Bool {
        let layer = Layer()
        return top == [Float](repeating: 3 * factor, count: 100)
            && layers.allSatisfy {
                $0.weight == layer.weight.map { $0 * factor } && $0.bias == layer.bias.map { $0 * factor }
            }
    }
}

@Suite struct ManyArraysTests {
    @Test(arguments: [0, 31, 32, 33, 200]) func `models of any number of arrays are updated`(_ height: Int) throws {
        var model = Tower(height: height)
        var optimizer = try ModelOptimizer(for: model, parameters: model.parameters) {
            Accumulate(steps: 2)
        } driving: {
            SGD(learningRate: 0.5)
        }
        for step in 1...4 {
            try optimizer.update(&model, along: model.gradient)
            #expect(model.isScaled(by: step < 2 ? 1 : step < 4 ? 0.5 : 0.25))
        }
    }

    @Test func `two thousand arrays are updated on a thread with a small stack`() throws {
        let result = Mutex<Result<Bool, any Error>>(.success(false))
        let isDone = DispatchSemaphore(value: 0)
        let thread = Thread {
            result.withLock {
                $0 = Result {
                    var model = Tower(height: 1_000)
                    var optimizer = try ModelOptimizer(for: model, parameters: model.parameters) {
                        SGD(learningRate: 0.5)
                    }
                    try optimizer.update(&model, along: model.gradient)
                    return model.isScaled(by: 0.5)
                }
            }
            isDone.signal()
        }
        thread.stackSize = 512 * 1024
        thread.start()
        isDone.wait()
        #expect(try result.withLock { try $0.get() })
    }
}
