/// The factors that one stage puts on each parameter in one step.
struct ScaleFactors: Sendable {
    private(set) var uniform = 1.0
    /// A factor for each parameter on top of the uniform one; meaningful while `hasEach`.
    private var each: [Double] = []
    private(set) var hasEach = false

    mutating func reset() {
        uniform = 1
        hasEach = false
    }

    mutating func multiply(by factor: Double) { uniform *= factor }

    mutating func multiply(_ parameter: Int, of count: Int, by factor: Double) {
        setEach(count)
        each[parameter] *= factor
    }

    /// Gives the factor of each parameter to a closure, which returns whether it has changed one.
    mutating func withEach(of count: Int, _ body: (_ each: inout MutableSpan<Double>) -> Bool) {
        let hadEach = hasEach
        setEach(count)
        var each = each.mutableSpan
        let hasChanged = body(&each)
        hasEach = hadEach || hasChanged
    }

    /// Multiplies the factors of all parameters, which lie in an array from a position on, by these.
    func multiply(into product: inout [Double], from start: Int, count: Int) {
        guard hasEach || uniform != 1 else { return }
        let (uniform, each) = (uniform, hasEach ? each : [])
        // Through a buffer, so that no index is checked, and several are multiplied at once.
        product.withUnsafeMutableBufferPointer { product in
            if each.isEmpty {
                for index in 0..<count { product[start + index] *= uniform }
            } else {
                for index in 0..<count { product[start + index] *= uniform * each[index] }
            }
        }
    }

    /// The factor of one parameter.
    func of(_ parameter: Int) -> Double { hasEach ? uniform * each[parameter] : uniform }

    /// The largest magnitude of any factor.
    var largest: Double {
        hasEach ? uniform.magnitude * each.reduce(0) { max($0, $1.magnitude) } : uniform.magnitude
    }

    /// Whether no factor is NaN or infinite.
    var isFinite: Bool {
        guard hasEach else { return uniform.isFinite }
        // Without a way out, so that several are looked at at once.
        var isFinite = uniform.isFinite
        let each = each.span
        for parameter in each.indices where !each[parameter].isFinite { isFinite = false }
        return isFinite
    }

    /// The first factor that is NaN or infinite; 1 if none is.
    var firstNonFinite: Double {
        if !uniform.isFinite { return uniform }
        return hasEach ? each.first { !$0.isFinite } ?? 1 : 1
    }

    private mutating func setEach(_ count: Int) {
        guard !hasEach else { return }
        hasEach = true
        if each.count != count { each = [Double](repeating: 1, count: count) }
        for index in each.indices { each[index] = 1 }
    }
}
