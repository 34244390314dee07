import Descent
import DescentCore
import Foundation
import Synchronization
import TestSupport
import Testing

/// A model that is an object, and an optimizer that trains it.
private final class ObjectModel {
    var weights: TensorSet
    init(_ weights: TensorSet) { self.weights = weights }
}

private struct ObjectOptimizer: HostOptimizer {
    var rate: Float

    mutating func update(_ model: inout ObjectModel, gradients: TensorSet) {
        for parameter in gradients.layout {
            model.weights[parameter.name] = zip(model.weights[parameter.name], gradients[parameter.name])
                .map { $0 - rate * $1 }
        }
    }

    func withUnsafeParameters<Result>(
        of model: ObjectModel, _ body: ([UnsafeTensor]?) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        try model.weights.withUnsafeTensors { (tensors) throws(DescentError) in try body(tensors) }
    }
}

/// An optimizer that owns what it trains.
private struct OwningOptimizer: HostOptimizer {
    var weights: TensorSet

    mutating func update(_ model: inout Void, gradients: TensorSet) {
        for parameter in gradients.layout {
            weights[parameter.name] = zip(weights[parameter.name], gradients[parameter.name]).map { $0 - $1 }
        }
    }
}

/// What goes where a host's optimizer went, in the shapes that hosts have.
@Suite struct WrappedOptimizerTests {
    let layout: ParameterLayout
    let model: TensorSet

    init() throws {
        layout = try makeLayout([[4, 3], [4]])
        model = TensorSet.random(layout, seed: 1)
    }

    private func gradients(_ seed: UInt64) -> TensorSet { TensorSet.random(layout, seed: seed) }

    private func makeChain() throws -> Chain {
        try Chain(for: layout) {
            Accumulate(steps: 2)
            ClipAdaptively(factor: 0.1)
            ClipByGlobalNorm(1)
        }
    }

    @Test func `a model that is an object is trained, and its parameters are handed to the chain`() throws {
        let object = ObjectModel(model)
        var optimizer = WrappedOptimizer(ObjectOptimizer(rate: 0.5), behind: try makeChain())
        var (expected, chain) = (model, try makeChain())
        for seed in 2..<8 as Range<UInt64> {
            var next = gradients(seed)
            let outcome = try chain.transform(&next, parameters: expected)
            #expect(try optimizer.update(object, gradients: gradients(seed)).details == outcome.details)
            guard outcome.isApplied else { continue }
            for parameter in layout {
                expected[parameter.name] = zip(expected[parameter.name], next[parameter.name]).map { $0 - 0.5 * $1 }
            }
        }
        #expect(object.weights == expected)
        #expect(expected != model)
    }

    @Test func `an optimizer that owns its model is updated without one`() throws {
        var optimizer = try WrappedOptimizer(OwningOptimizer(weights: model), for: layout) { Scale(by: 0.5) }
        #expect(try optimizer.update(gradients: gradients(2)).isApplied)
        for parameter in layout {
            #expect(
                optimizer.base.weights[parameter.name]
                    == zip(model[parameter.name], gradients(2)[parameter.name]).map { $0 - 0.5 * $1 })
        }
        let before = optimizer.base.weights
        var next = gradients(3)
        next["layer0.bias"][0] = .nan
        #expect(try !optimizer.update(gradients: next).isApplied)
        #expect(optimizer.base.weights == before && optimizer.chain.skippedSteps == 1)
    }

    @Test func `an error of a call that cannot throw is thrown by the next one that can, and nothing happens between`()
        throws
    {
        let object = ObjectModel(model)
        var optimizer = WrappedOptimizer(ObjectOptimizer(rate: 0.5), behind: try makeChain())
        let wrong = TensorSet.random(try makeLayout([[4, 2], [4]]), seed: 1)
        #expect(optimizer.updateKeepingError(object, gradients: gradients(2)) != nil)
        #expect(optimizer.updateKeepingError(object, gradients: wrong) == nil)
        #expect(optimizer.keptError?.code == .shapeMismatch)
        #expect(optimizer.updateKeepingError(object, gradients: gradients(3)) == nil)
        #expect(object.weights == model)
        let error = #expect(throws: DescentError.self) { try optimizer.update(object, gradients: gradients(3)) }
        #expect(error?.parameter == "layer0.weight")
        #expect(optimizer.keptError == nil)
        #expect(object.weights == model && optimizer.chain.window?.received == 1)
        #expect(try optimizer.update(object, gradients: gradients(3)).isApplied)
    }

    @Test func `a window is closed early, and observers are told`() throws {
        let told = Told()
        let object = ObjectModel(model)
        var optimizer = WrappedOptimizer(ObjectOptimizer(rate: 0.5), behind: try makeChain())
        optimizer.observe { told.note($0.outcome) }
        #expect(try optimizer.flush(object, into: gradients(9)) == nil)
        _ = try optimizer.update(object, gradients: gradients(2))
        #expect(try optimizer.flush(object, into: gradients(9))?.isApplied == true)
        var (next, chain) = (gradients(2), try makeChain())
        _ = try chain.transform(&next, parameters: model, closingWindow: true)
        for parameter in layout {
            #expect(
                object.weights[parameter.name]
                    == zip(model[parameter.name], next[parameter.name]).map { $0 - 0.5 * $1 })
        }
        #expect(told.outcomes.count == 2 && told.outcomes.last?.isApplied == true)
    }

    private final class Told: Sendable {
        private let noted = Mutex<[StepOutcome]>([])
        var outcomes: [StepOutcome] { noted.withLock { $0 } }
        func note(_ outcome: StepOutcome) { noted.withLock { $0.append(outcome) } }
    }

    @Test func `an optimizer that owns its model keeps errors, and closes windows, without one`() throws {
        var optimizer = try WrappedOptimizer(OwningOptimizer(weights: model), for: layout) { Accumulate(steps: 2) }
        let wrong = TensorSet.random(try makeLayout([[4, 2], [4]]), seed: 1)
        #expect(try optimizer.flush(into: gradients(9)) == nil)
        #expect(optimizer.updateKeepingError(gradients: gradients(2))?.isApplied == false)
        #expect(optimizer.updateKeepingError(gradients: wrong) == nil)
        #expect(thrownError { _ = try optimizer.flush(into: gradients(9)) }?.code == .shapeMismatch)
        #expect(optimizer.base.weights == model)
        #expect(try optimizer.flush(into: gradients(9))?.isApplied == true)
        for parameter in layout {
            #expect(
                optimizer.base.weights[parameter.name]
                    == zip(model[parameter.name], gradients(2)[parameter.name]).map { $0 - $1 })
        }
    }

    @Test func `resumed in an open window it goes on with the same bits`() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).safetensors").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let (undisturbed, resumed) = (ObjectModel(model), ObjectModel(model))
        var optimizer = WrappedOptimizer(ObjectOptimizer(rate: 0.5), behind: try makeChain())
        var other = optimizer
        for seed in 2..<9 as Range<UInt64> {
            _ = try optimizer.update(undisturbed, gradients: gradients(seed))
            _ = try other.update(resumed, gradients: gradients(seed))
            try other.chain.checkpoint(to: path)
            let chain = try Chain(resuming: path, for: layout) {
                Accumulate(steps: 2)
                ClipAdaptively(factor: 0.1)
                ClipByGlobalNorm(1)
            }
            other = WrappedOptimizer(ObjectOptimizer(rate: 0.5), behind: chain)
            #expect(resumed.weights == undisturbed.weights)
        }
        #expect(undisturbed.weights != model)
    }
}
