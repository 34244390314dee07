/// What hosts train on: numbers and gradients that are drawn from names and batches, in plain loops.
enum PlainProblem {
    /// The values that a parameter starts with.
    static func start(of name: String, count: Int) -> [Float] { numbers(name, batch: -1, count: count) }

    /// The gradient of a loss that draws a parameter to numbers of its own, by different factors, and couples neighbours.
    ///
    /// - Parameters:
    ///   - name: The parameter.
    ///   - values: Its elements, in row-major order.
    ///   - batch: Which batch it is; norms are small, middling and large in turn.
    ///   - isSpoiled: Whether an element is NaN.
    /// - Returns: As many elements.
    static func gradient(of name: String, at values: [Float], batch: Int, isSpoiled: Bool = false) -> [Float] {
        let targets = numbers(name, batch: batch, count: values.count)
        let scale: Float = [0.2, 1, 5][batch % 3]
        var gradient = values.indices.map { index in
            scale * (values[index] - targets[index] + 0.25 * values[(index + 1) % values.count])
        }
        if isSpoiled { gradient[gradient.count / 2] = .nan }
        return gradient
    }

    /// Numbers between -1 and 1.
    private static func numbers(_ name: String, batch: Int, count: Int) -> [Float] {
        var state = name.utf8.reduce(UInt64(bitPattern: Int64(batch &* 7_919))) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Float(Int32(truncatingIfNeeded: state >> 32) >> 8) / 0x1p23
        }
    }
}
