extension PortableKernels {
    /// Moves a slot towards the parameters and, if wanted, the parameters to the slot.
    static func blend(
        _ parameters: UnsafeMutablePointer<Float>, into slot: UnsafeMutablePointer<Float>, count: Int, weight: Float,
        replacing: Bool
    ) {
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
