import Descent
import ExampleSupport
import SeededNumbers

/// A recurrent network of ReLU units that starts out remembering: its recurrent matrix is the identity.
///
///     h_t = max(0, W x_t + U h_(t-1) + b)     h_0 = 0, U = 1 at first
///     y = v h_T + c
///
/// Le, Jaitly and Hinton, "A simple way to initialize recurrent networks of rectified linear units" (2015).
struct RecurrentNetwork {
    /// The number of hidden units.
    static let unitCount = 64

    private let inputWeight: [Float]
    private let transposedInputWeight: [Float]
    private let recurrentWeight: [Float]
    private let transposedRecurrentWeight: [Float]
    private let bias: [Float]
    private let outputWeight: [Float]
    private let outputBias: Float

    /// A network with given parameters, which are those of ``initialParameters(seed:)`` or trained from them.
    init(_ parameters: TensorSet) {
        inputWeight = parameters["input.weight"]
        transposedInputWeight = Self.transposed(inputWeight, columns: AddingProblem.inputCount)
        recurrentWeight = parameters["recurrent.weight"]
        transposedRecurrentWeight = Self.transposed(recurrentWeight, columns: Self.unitCount)
        bias = parameters["recurrent.bias"]
        outputWeight = parameters["output.weight"]
        outputBias = parameters["output.bias"][0]
    }

    /// Parameters to start from: the identity for the recurrent matrix, small normal numbers for other weights.
    ///
    /// Their deviation is 0.1, not the paper's 0.001, with which even clipped training fails for two of the seeds from
    /// 1 to 8.
    ///
    /// - Throws: `DescentError`, were two of the names the same.
    static func initialParameters(seed: UInt64) throws -> TensorSet {
        var generator = SeededGenerator(seed: seed)
        var parameters = try TensorSet([
            ParameterDescription("input.weight", shape: [unitCount, AddingProblem.inputCount]),
            ParameterDescription("recurrent.weight", shape: [unitCount, unitCount]),
            ParameterDescription("recurrent.bias", shape: [unitCount]),
            ParameterDescription("output.weight", shape: [1, unitCount]),
            ParameterDescription("output.bias", shape: [1]),
        ])
        for name in ["input.weight", "output.weight"] {
            parameters[name] = parameters[name].map { _ in generator.normal() * 0.1 }
        }
        parameters.withMutableElements(of: "recurrent.weight") { weight in
            for unit in 0..<unitCount { weight[unit * unitCount + unit] = 1 }
        }
        return parameters
    }

    /// What a forward pass found.
    struct Pass {
        /// The states before the first step and after each one, a row a sequence.
        let states: [[Float]]
        /// The answer to each sequence less the right one.
        let errors: [Float]

        /// The mean of the squared errors.
        var loss: Double { errors.reduce(0) { $0 + Double($1) * Double($1) } / Double(errors.count) }
    }

    /// Runs sequences forward.
    func forward(_ problem: AddingProblem) -> Pass {
        var states = [[Float](repeating: 0, count: problem.count * Self.unitCount)]
        let start = (0..<problem.count).flatMap { _ in bias }
        for (step, inputs) in problem.inputs.enumerated() {
            var state = start
            MatrixProduct.add(
                inputs, transposedInputWeight, to: &state, inner: AddingProblem.inputCount, columns: Self.unitCount)
            MatrixProduct.add(
                states[step], transposedRecurrentWeight, to: &state, inner: Self.unitCount, columns: Self.unitCount)
            states.append(state.map { $0 < 0 ? 0 : $0 })
        }
        var errors = problem.targets.map { outputBias - $0 }
        MatrixProduct.add(states[problem.inputs.count], outputWeight, to: &errors, inner: Self.unitCount, columns: 1)
        return Pass(states: states, errors: errors)
    }

    /// Runs the loss of a forward pass backward through all steps.
    ///
    /// - Parameters:
    ///   - pass: The forward pass.
    ///   - problem: The sequences it ran over.
    ///   - gradients: Receives the gradients of the parameters.
    func backward(_ pass: Pass, over problem: AddingProblem, into gradients: inout TensorSet) {
        let count = problem.count
        let units = Self.unitCount
        // Of the loss by what each sequence's answer is, then by the state that a step leaves.
        let answer = pass.errors.map { $0 * 2 / Float(count) }
        var state = [Float](repeating: 0, count: count * units)
        MatrixProduct.add(answer, outputWeight, to: &state, inner: 1, columns: units)

        var transposedInput = [Float](repeating: 0, count: inputWeight.count)
        var recurrent = [Float](repeating: 0, count: recurrentWeight.count)
        var bias = [Float](repeating: 0, count: units)
        let ones = [Float](repeating: 1, count: count)
        for (step, inputs) in problem.inputs.enumerated().reversed() {
            let sum = zip(state, pass.states[step + 1]).map { $1 == 0 ? 0 : $0 }
            MatrixProduct.addTransposed(inputs, sum, to: &transposedInput, inner: count, columns: units)
            MatrixProduct.addTransposed(sum, pass.states[step], to: &recurrent, inner: count, columns: units)
            MatrixProduct.addTransposed(ones, sum, to: &bias, inner: count, columns: units)
            state = [Float](repeating: 0, count: count * units)
            MatrixProduct.add(sum, recurrentWeight, to: &state, inner: units, columns: units)
        }
        var output = [Float](repeating: 0, count: units)
        MatrixProduct.addTransposed(
            answer, pass.states[problem.inputs.count], to: &output, inner: count, columns: units)

        gradients["input.weight"] = Self.transposed(transposedInput, columns: units)
        gradients["recurrent.weight"] = recurrent
        gradients["recurrent.bias"] = bias
        gradients["output.weight"] = output
        gradients["output.bias"] = [answer.reduce(0, +)]
    }

    /// A matrix with rows and columns exchanged.
    private static func transposed(_ matrix: [Float], columns: Int) -> [Float] {
        let rows = matrix.count / columns
        return (0..<matrix.count).map { matrix[$0 % rows * columns + $0 / rows] }
    }
}
