import CDescentKernels

// Averages of parameters, differences, counts, and updates that agree with their gradients.

extension Kernels {
    /// Moves a slot towards the parameters, all the way if the weight is 1, and, if wanted, the parameters to the slot.
    func blend(
        _ parameters: UnsafeMutablePointer<Float>, into slot: UnsafeMutablePointer<Float>, count: Int, weight: Float,
        replacing: Bool
    ) {
        if weight == 1 { return slot.update(from: parameters, count: count) }
        table.pointee.blend(parameters, slot, count, weight, replacing)
    }

    /// Subtracts elements from others.
    func subtract(
        _ elements: UnsafePointer<Float>, from difference: UnsafeMutablePointer<Float>, count: Int
    ) {
        table.pointee.subtract(elements, difference, count)
    }

    /// The number of elements with a magnitude below a limit.
    func count(_ gradient: PendingGradient, below limit: Float) -> Int {
        withUnsafePointer(to: descent_pending(gradient)) { table.pointee.count_below($0, limit) }
    }

    /// The number of elements of an update whose product with the gradient's is above 0.
    func agreeingCount(_ gradient: PendingGradient, _ update: UnsafePointer<Float>) -> Int {
        withUnsafePointer(to: descent_pending(gradient)) { table.pointee.count_agreeing($0, update) }
    }

    /// Multiplies those elements of an update by a factor, and the others by 0.
    func scaleAgreeing(_ gradient: PendingGradient, _ update: UnsafeMutablePointer<Float>, by factor: Float) {
        withUnsafePointer(to: descent_pending(gradient)) { table.pointee.scale_agreeing($0, update, factor) }
    }

    /// Whether the magnitudes of all elements are smaller than a limit; a NaN is not.
    func areSmaller(_ source: UnsafePointer<Float>, than limit: Float, count: Int) -> Bool {
        largestMagnitude(source, count: count, minus: 0) < limit
    }
}
