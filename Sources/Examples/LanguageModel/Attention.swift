package import Descent
import ExampleSupport

/// The part of a layer in which tokens look at those before them, in several heads, each with columns of its own.
///
///     n = norm(x)    Q = n W_Qᵀ    K = n W_Kᵀ    V = n W_Vᵀ
///     P = softmax(Q Kᵀ / √d), causal, for each passage and head of width d
///     y = x + (P V) W_Oᵀ
///
/// Vaswani et al., "Attention is all you need" (2017), with the norm in front.
package struct Attention {
    private let headCount: Int
    private let norm: RMSNorm
    private let query: Linear
    private let key: Linear
    private let value: Linear
    private let output: Linear

    /// The part whose parameters' names begin with a name.
    package init(_ name: String, headCount: Int, _ parameters: TensorSet) {
        self.headCount = headCount
        norm = RMSNorm(name + ".norm", parameters)
        query = Linear(name + ".query", parameters)
        key = Linear(name + ".key", parameters)
        value = Linear(name + ".value", parameters)
        output = Linear(name + ".output", parameters)
    }

    /// What the backward pass needs of a forward pass.
    package struct Activations {
        fileprivate let input: StoredMatrix
        fileprivate let queries: StoredMatrix
        fileprivate let keys: StoredMatrix
        fileprivate let values: StoredMatrix
        /// For each passage, those of each head.
        fileprivate let probabilities: [StoredMatrix]
        fileprivate let mixed: StoredMatrix

        /// How many bytes they take.
        var byteCount: Int {
            ([input, queries, keys, values, mixed] + probabilities).reduce(0) { $0 + $1.byteCount }
        }
    }

    /// Runs tokens forward.
    ///
    /// - Parameters:
    ///   - x: A row a token.
    ///   - passages: Which rows belong together, in order and without gaps.
    ///   - precision: What activations are kept in.
    /// - Returns: y, and what the backward pass needs.
    package func forward(_ x: Matrix, passages: [Range<Int>], _ precision: Precision) -> (Matrix, Activations) {
        let normalized = precision.rounding(norm.forward(x))
        let queries = StoredMatrix(query.forward(normalized), precision)
        let keys = StoredMatrix(key.forward(normalized), precision)
        let values = StoredMatrix(value.forward(normalized), precision)
        let (q, k, v) = (queries.matrix, keys.matrix, values.matrix)
        let heads = heads(passages, width: x.columnCount)
        let results = Concurrently.map(heads.count) { index in
            let (rows, columns) = heads[index]
            let scores = q[rows, columns].times(k[rows, columns].transposed())
            let probabilities = StoredMatrix(CausalSoftmax.forward(scores, scale: scale(columns)), precision)
            return (probabilities: probabilities, mixed: probabilities.matrix.times(v[rows, columns]))
        }
        var mixed = Matrix(zeros: x.rowCount, x.columnCount)
        for (head, result) in zip(heads, results) { mixed[head.rows, head.columns] = result.mixed }
        let activations = Activations(
            input: StoredMatrix(x, precision), queries: queries, keys: keys, values: values,
            probabilities: results.map(\.probabilities), mixed: StoredMatrix(mixed, precision))
        let y = x + output.forward(activations.mixed.matrix)
        return (precision.rounding(y), activations)
    }

    /// Runs a gradient backward.
    ///
    /// For each head, with O = P V, S its scores, and dS from ``CausalSoftmax``:
    ///
    ///     dV = Pᵀ dO    dP = dO Vᵀ    dQ = dS K    dK = dSᵀ Q
    package func backward(
        _ outputGradient: Matrix, _ activations: Activations, passages: [Range<Int>], _ precision: Precision,
        into gradients: inout TensorSet
    ) -> Matrix {
        let mixedGradient = precision.rounding(
            output.backward(outputGradient, input: activations.mixed.matrix, into: &gradients))
        let (q, k, v) = (activations.queries.matrix, activations.keys.matrix, activations.values.matrix)
        let heads = heads(passages, width: q.columnCount)
        let results = Concurrently.map(heads.count) { index in
            let (rows, columns) = heads[index]
            let probabilities = activations.probabilities[index].matrix
            let mixed = mixedGradient[rows, columns]
            let probabilityGradient = mixed.times(v[rows, columns].transposed())
            let scores = precision.rounding(
                CausalSoftmax.backward(probabilityGradient, probabilities, scale: scale(columns)))
            return (
                query: scores.times(k[rows, columns]), key: scores.transposedTimes(q[rows, columns]),
                value: probabilities.transposedTimes(mixed)
            )
        }
        var queryGradient = Matrix(zeros: q.rowCount, q.columnCount)
        var (keyGradient, valueGradient) = (queryGradient, queryGradient)
        for (head, result) in zip(heads, results) {
            queryGradient[head.rows, head.columns] = result.query
            keyGradient[head.rows, head.columns] = result.key
            valueGradient[head.rows, head.columns] = result.value
        }

        let x = activations.input.matrix
        let normalized = precision.rounding(norm.forward(x))
        let normalizedGradient =
            query.backward(precision.rounding(queryGradient), input: normalized, into: &gradients)
            + key.backward(precision.rounding(keyGradient), input: normalized, into: &gradients)
            + value.backward(precision.rounding(valueGradient), input: normalized, into: &gradients)
        let inputGradient = norm.backward(precision.rounding(normalizedGradient), input: x, into: &gradients)
        return precision.rounding(outputGradient + inputGradient)
    }

    /// Where each head of each passage lies.
    private func heads(_ passages: [Range<Int>], width: Int) -> [(rows: Range<Int>, columns: Range<Int>)] {
        let headWidth = width / headCount
        return passages.flatMap { rows in
            (0..<headCount).map { (rows, $0 * headWidth..<($0 + 1) * headWidth) }
        }
    }

    /// 1 / √d of a head's columns.
    private func scale(_ columns: Range<Int>) -> Float { 1 / Float(columns.count).squareRoot() }
}
