import DescentCore

extension ElementwiseRule {
    /// Describes a step by as many numbers as its kernel has.
    init(
        _ kernel: Kernel, gradientFactor: Double, _ n0: Float, _ n1: Float, _ n2: Float = 0, _ n3: Float = 0,
        _ n4: Float = 0, _ n5: Float = 0, _ n6: Float = 0, _ n7: Float = 0, _ n8: Float = 0, _ n9: Float = 0,
        _ n10: Float = 0
    ) {
        self.init(
            kernel, gradientFactor: gradientFactor,
            numbers: SIMD16(n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10, 0, 0, 0, 0, 0))
    }
}

extension Bool {
    /// The sign of a gradient, for a setting that says whether parameters climb along it.
    var gradientSign: Double { self ? -1 : 1 }
}
