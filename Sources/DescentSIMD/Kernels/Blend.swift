extension PortableKernels {
    /// Moves a slot towards the parameters, all the way if the weight is 1, and, if wanted, the parameters to the slot.
    static func blend(
        _ parameters: UnsafeMutablePointer<Float>, into slot: UnsafeMutablePointer<Float>, count: Int, weight: Float,
        replacing: Bool
    ) {
        if weight == 1 { return slot.update(from: parameters, count: count) }
        for index in 0..<count { slot[index] += weight * (parameters[index] - slot[index]) }
        if replacing { parameters.update(from: slot, count: count) }
    }

    /// Subtracts elements from others.
    static func subtract(
        _ elements: UnsafePointer<Float>, from difference: UnsafeMutablePointer<Float>, count: Int
    ) {
        for index in 0..<count { difference[index] -= elements[index] }
    }
}
