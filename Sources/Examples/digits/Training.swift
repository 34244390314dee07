import Descent
import DigitsModel
import SeededNumbers

/// Trains a perceptron on the digits in one of the variants.
///
/// All variants start from the same parameters and see the same micro-batches in the same order.
struct Training {
    /// How many images one forward and backward pass takes.
    private static let microBatchSize = 8

    private let variant: Variant
    private let digits: Digits
    private let heldOut: Digits
    private var parameters: TensorSet
    private var pipeline: Pipeline
    private var gradients: TensorSet
    private var exactGradients: TensorSet
    private var order: [Int]
    private var generator: SeededGenerator
    private var epochs = 0

    /// Prepares a training.
    ///
    /// - Throws: `DescentError` if the pipeline cannot be built.
    init(_ variant: Variant, on digits: Digits, heldOut: Digits, seed: UInt64) throws {
        self.variant = variant
        self.digits = digits
        self.heldOut = heldOut
        parameters = try Perceptron.initialParameters(seed: seed)
        pipeline = try variant.makePipeline(parameters)
        gradients = TensorSet(zeros: parameters.layout)
        exactGradients = gradients
        order = Array(0..<digits.count)
        generator = SeededGenerator(seed: seed)
    }

    /// How many micro-batches an epoch of so many images has; the last one may be smaller.
    static func microBatchCount(of imageCount: Int) -> Int { (imageCount + microBatchSize - 1) / microBatchSize }

    /// The plan of the pipeline, in words.
    var plan: String { pipeline.explain() }

    /// The mean loss over the held-out images, with the parameters as they are now.
    var heldOutLoss: Double {
        CrossEntropy(Perceptron(parameters).forward(heldOut.images).logits, heldOut.labels).value
    }

    /// Goes over all images once.
    ///
    /// - Throws: `DescentError` if gradients still overflow at the smallest loss scale.
    mutating func runEpoch() throws -> Epoch {
        epochs += 1
        var epoch = Epoch(number: epochs)
        order.shuffle(using: &generator)
        for start in stride(from: 0, to: order.count, by: Self.microBatchSize) {
            let end = min(start + Self.microBatchSize, order.count)
            try takeIn(digits.selecting(order[start..<end]), endsEpoch: end == order.count, &epoch)
        }
        epoch.loss /= Double(order.count)
        epoch.lossScale = pipeline.lossScale
        epoch.accuracy = Perceptron(parameters).accuracy(on: heldOut)
        return epoch
    }

    /// Runs one micro-batch forward, backward and through the pipeline.
    private mutating func takeIn(_ batch: Digits, endsEpoch: Bool, _ epoch: inout Epoch) throws {
        let model = Perceptron(parameters)
        let activations = model.forward(batch.images)
        let loss = CrossEntropy(activations.logits, batch.labels)
        epoch.loss += loss.value * Double(batch.count)

        let scale = pipeline.lossScale
        model.backward(
            loss.gradient(scale: scale), through: activations, precision: variant.precision, into: &gradients)
        if variant.precision != .float32 {
            // Only to count what was flushed to zero: training does not see these.
            model.backward(
                loss.gradient(scale: 1), through: activations, precision: .float32, into: &exactGradients)
            epoch.flushes.add(gradients, exact: exactGradients)
        }

        let outcome = try pipeline.step(
            &parameters, gradients: gradients, weight: Double(batch.count), lossScale: scale,
            closingWindow: endsEpoch)
        epoch.count(outcome, gradients)
    }
}
