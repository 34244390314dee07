import Descent
import DescentMuon
import SeededNumbers

/// A model of nothing but matrices, with its gradients, and Muon.
struct Subject {
    private var parameters: TensorSet
    private let gradients: TensorSet
    private var pipeline: Pipeline
    /// What the optimizer iterates.
    static let newtonSchulz = NewtonSchulz()

    /// Makes matrices of random numbers.
    init(_ arguments: Arguments) throws {
        let layout = try ParameterLayout(
            (0..<arguments.matrixCount).map {
                try ParameterDescription("matrix\($0)", shape: [arguments.rows, arguments.columns])
            })
        parameters = Self.randomTensors(layout, seed: 1)
        gradients = Self.randomTensors(layout, seed: 2)
        InstalledBLAS.setThreads(arguments.threads)
        pipeline = try Pipeline(for: parameters, on: SIMDBackend(threads: arguments.threads)) {
        } driving: {
            Muon(learningRate: 0.001, weightDecay: 0.1, newtonSchulz: Self.newtonSchulz)
        }
    }

    private static func randomTensors(_ layout: ParameterLayout, seed: UInt64) -> TensorSet {
        var tensors = TensorSet(zeros: layout)
        var generator = SeededGenerator(seed: seed)
        for parameter in layout {
            tensors[parameter.name] = (0..<parameter.count).map { _ in .random(in: -1...1, using: &generator) }
        }
        return tensors
    }

    /// The number of elements of all matrices.
    var elementCount: Int { parameters.layout.elementCount }

    /// Takes a step; gives how long it took, in nanoseconds for each element.
    mutating func step() throws -> Double {
        let duration = try ContinuousClock().measure { _ = try pipeline.step(&parameters, gradients: gradients) }
        return duration / .nanoseconds(1) / Double(elementCount)
    }

    /// The L2 norm of how far the first step moves the parameters.
    mutating func firstChange() throws -> Double {
        let before = parameters
        _ = try step()
        var sum = 0.0
        for parameter in parameters.layout {
            for (old, new) in zip(before[parameter.name], parameters[parameter.name]) {
                sum += Double(new - old) * Double(new - old)
            }
        }
        return sum.squareRoot()
    }
}
