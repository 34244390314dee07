import Descent
import TestSupport

/// One call of a sequence.
struct Call {
    /// Which of the pipelines there are by then it is made on, counted round and round.
    var subject: Int
    var action: Action
    /// What a stage does wrong in this call; stages that can are counted round and round.
    var fault: (stage: Int, kind: Fault)?

    enum Action {
        /// `step` with all gradients; `transform` of a chain.
        case step(Gradients, weight: Double, lossScale: LossScaleArgument, closingWindow: Bool)
        /// `receive` of one gradient; parameters are counted round and round.
        case receive(parameter: Int, Gradients, weight: Double)
        /// `step` with the gradients received.
        case stepReceived(closingWindow: Bool)
        case flush
        case discardReceived
        /// Makes a copy, which becomes another pipeline of the sequence.
        case copy
        /// Keeps the state and the parameters, and goes on.
        case save
        /// Goes back to what was saved last.
        case restore
        /// Goes on from the state as it is.
        case resume
        /// Goes on from a file.
        case checkpoint
        case requestHistograms
        /// Ends a round of a shared loss scale.
        case updateSharedScale
        case mistake(Mistake)
    }

    /// What the call is told about the loss scale.
    enum LossScaleArgument: String, CaseIterable {
        case none, right, wrong
    }

    /// A call with an argument that is refused.
    enum Mistake: String, CaseIterable {
        case gradientsOfAnotherShape, gradientsMissing, parametersOfAnotherShape, parametersInHalf
        case negativeWeight, infiniteWeight, receivedInAnotherShape, receivedWithNaNWeight, receivedOfNoParameter
    }
}

/// Gradients of a micro-batch, made of a seed and the names of tensors, so that they stay as tensors come and go.
struct Gradients {
    var seed: UInt64
    var kind = Kind.ordinary
    var type = ElementType.float32
    /// An element that is not finite: which tensor and which element, both counted round and round.
    var spoiled: (tensor: Int, element: Int, value: Float)?

    enum Kind: String, CaseIterable {
        case ones, ordinary, zeros, signedZeros, tiny, huge, mixed
    }

    /// The values of each tensor, as they are stored.
    func values(of layout: ParameterLayout, lossScale: Float) -> [[Float]] {
        var values = layout.map { parameter in
            var generator = SeededGenerator(seed: hash(parameter.name))
            return (0..<parameter.count).map { _ in draw(&generator, lossScale) }
        }
        if let spoiled {
            let holding = layout.indices.filter { layout[$0].count > 0 }
            if !holding.isEmpty {
                let tensor = holding[spoiled.tensor % holding.count]
                values[tensor][spoiled.element % values[tensor].count] = spoiled.value
            }
        }
        return values
    }

    private func draw(_ generator: inout SeededGenerator, _ lossScale: Float) -> Float {
        func uniform(_ range: ClosedRange<Float>) -> Float { Float.random(in: range, using: &generator) }
        switch kind {
        case .ones: return 1
        case .ordinary: return lossScale * uniform(-2...2)
        case .zeros: return 0
        case .signedZeros: return Bool.random(using: &generator) ? 0 : -0.0
        case .tiny: return .leastNonzeroMagnitude * uniform(-1e9...1e9)
        case .huge: return uniform(-1e30...1e30)
        case .mixed:
            let palette: [Float] = [0, -0.0, 1, -1, .leastNonzeroMagnitude, -.leastNormalMagnitude, 1e-20, 1e15, -1e20]
            let index = Int.random(in: 0...palette.count, using: &generator)
            return index < palette.count ? palette[index] : .greatestFiniteMagnitude * uniform(-1...1)
        }
    }

    private func hash(_ name: String) -> UInt64 {
        // FNV-1a, because the standard library's hashes differ from run to run.
        name.utf8.reduce(seed &+ 0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}
