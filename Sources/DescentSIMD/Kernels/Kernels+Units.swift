import CDescentKernels

// Units that are the last dimension: they lie side by side, over segments a stride apart.

extension Kernels {
    /// How many units are worked on side by side, at every level.
    static let laneCount = 16

    /// The mean of each unit: float sums of up to 256 segments, added up in Double; where one is not finite, all in Double.
    func unitMeans(
        _ source: UnsafePointer<Float>, segments: Int, stride: Int, units: Int, into means: UnsafeMutablePointer<Float>
    ) {
        table.pointee.unit_means(source, segments, stride, units, means)
    }

    /// Clips each unit by the norm of the parameter's unit.
    func clipUnits(
        _ gradient: UnsafeMutablePointer<Float>, stride: Int, by parameters: UnsafePointer<Float>,
        parameterStride: Int, segments: Int, units: Int, factor: Float, minimumNorm: Float, epsilon: Float
    ) {
        withUnsafePointer(to: descent_unit_clip(factor: factor, minimum_norm: minimumNorm, epsilon: epsilon)) {
            table.pointee.clip_units(gradient, stride, parameters, parameterStride, segments, units, $0)
        }
    }

    /// Subtracts from each unit its mean times a factor.
    func subtractUnitMeans(
        _ elements: UnsafeMutablePointer<Float>, segments: Int, units: Int, factor: Float, means: UnsafePointer<Float>
    ) {
        table.pointee.subtract_unit_means(elements, segments, units, factor, means)
    }
}
