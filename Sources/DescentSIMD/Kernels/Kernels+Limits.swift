import CDescentKernels
import DescentCore

extension Kernels {
    /// The L2 norm of limited elements, without the factor behind the limits; nil where one pass cannot measure it.
    func limitedNorm(_ gradient: PendingGradient) -> Double? {
        let squares = withUnsafePointer(to: descent_pending(gradient)) { table.pointee.sum_of_limited_squares($0) }
        let smallest = Self.smallestMeanSquare * Double(gradient.rows * gradient.columns)
        return squares.isFinite && squares >= smallest ? squares.squareRoot() : nil
    }

    /// The number of elements that are NaN or infinite.
    func nonFiniteCount(_ gradient: PendingGradient) -> Int {
        withUnsafePointer(to: descent_pending(gradient)) { table.pointee.count_non_finite($0) }
    }

    /// Makes factors that clip each row of a gradient by the norm of the parameter's row.
    ///
    /// - Parameters:
    ///   - gradient: The gradient, without row factors.
    ///   - parameters: As many parameters.
    ///   - first: The first row.
    ///   - clip: How much is clipped.
    ///   - factors: Gets a number for each row from the first on.
    ///   - clips: Becomes true where one of them is not to stay what it is.
    /// - Returns: The first row that one pass cannot measure; the number of rows if there is none.
    func clipRows(
        _ gradient: PendingGradient, by parameters: UnsafePointer<Float>, from first: Int, _ clip: RowClip,
        factors: UnsafeMutablePointer<Float>, clips: inout Bool
    ) -> Int {
        let clip = descent_row_clip(
            factor: clip.factor, minimum_norm: clip.minimumNorm, epsilon: clip.epsilon)
        return withUnsafePointer(to: descent_pending(gradient)) { gradient in
            withUnsafePointer(to: clip) { table.pointee.clip_rows(gradient, parameters, first, $0, factors, &clips) }
        }
    }

    /// What one row is multiplied by, measured in as many passes as that takes.
    func rowFactor(
        _ elements: UnsafePointer<Float>, by parameters: UnsafePointer<Float>, count: Int, _ clip: RowClip
    ) -> Float {
        let ofGradient = norm(.l2, elements, rows: 1, columns: count, means: nil)
        let ofParameter = norm(.l2, parameters, rows: 1, columns: count, means: nil)
        let limit = Double(clip.factor) * max(ofParameter, Double(clip.minimumNorm))
        return ofGradient >= limit ? Float(limit / max(ofGradient, Double(clip.epsilon))) : 1
    }
}

/// How rows are clipped by the norms of the parameters' rows.
struct RowClip: Equatable {
    /// The largest ratio of the two.
    let factor: Float
    /// The smallest norm that a row of parameters is taken to have.
    let minimumNorm: Float
    /// The smallest norm that a row of the gradient is divided by.
    let epsilon: Float
}

extension descent_limits {
    init(_ limits: ElementLimits?) {
        self.init()
        guard let limits else { return }
        is_active = true
        is_of_rows_alone = limits.areOfRowsAlone
        repairs = limits.repairs ? -1 : 0
        factor = limits.factor
        lower = limits.range.lowerBound
        upper = limits.range.upperBound
        row_factors = limits.rowFactors
    }
}
