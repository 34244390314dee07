import DescentCore

extension Kernels {
    /// Clips each row of a gradient by the norm of the parameter's row.
    func clipRows(
        _ gradient: UnsafeMutablePointer<Float>, by parameters: UnsafePointer<Float>, rows: Int, columns: Int,
        factor: Float, minimumNorm: Float, epsilon: Float
    ) {
        for row in 0..<rows {
            let elements = gradient + row * columns
            let ofGradient = norm(.l2, elements, rows: 1, columns: columns, means: nil)
            let ofParameter = norm(.l2, parameters + row * columns, rows: 1, columns: columns, means: nil)
            let limit = Double(factor) * max(ofParameter, Double(minimumNorm))
            guard ofGradient >= limit else { continue }
            let scale = Float(limit / max(ofGradient, Double(epsilon)))
            for index in 0..<columns { elements[index] *= scale }
        }
    }
}
