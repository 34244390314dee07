import Descent

/// Numbers that are about normally distributed, each made from its place alone.
///
/// The four bytes of a hash of the place are added, and their mean 510 subtracted: integers from -510 to 510 with a
/// deviation of 147.8. Times a power of two they are exact in Float16 too. The comparison's Python makes the same ones.
struct SampleNumbers {
    /// Sets numbers of different seeds apart.
    let seed: UInt32
    /// What the integers are multiplied by.
    let factor: Float

    /// Parameters with a deviation of 0.018.
    static let parameters = SampleNumbers(seed: 0x9e37_79b9, factor: 0x1p-13)
    /// Gradients with a deviation of 0.009, times the first loss scale of `Unscale(.dynamic())`.
    static let gradients = SampleNumbers(seed: 0x85eb_ca6b, factor: 4)
    /// The same as without a loss scale.
    static let unscaledGradients = SampleNumbers(seed: 0x85eb_ca6b, factor: 0x1p-14)

    /// The number at a place.
    @inline(__always)
    func number(at place: UInt32) -> Float {
        // Chris Wellons' "lowbias32".
        var bits = place ^ seed
        bits = (bits ^ bits >> 16) &* 0x7feb_352d
        bits = (bits ^ bits >> 15) &* 0x846c_a68b
        bits ^= bits >> 16
        let pairs = (bits & 0x00ff_00ff) &+ (bits >> 8 & 0x00ff_00ff)
        let sum = Int32(truncatingIfNeeded: (pairs & 0xffff) &+ pairs >> 16)
        return Float(sum &- 510) * factor
    }

    /// Fills tensors; the places of a tensor's elements follow on those of the tensor before it.
    func fill(_ tensors: inout TensorSet) {
        var first: UInt32 = 0
        for parameter in tensors.layout {
            switch tensors.elementType {
            case .float32:
                tensors.withMutableElements(of: parameter.name) { elements in
                    for index in elements.indices {
                        elements[index] = number(at: first &+ UInt32(truncatingIfNeeded: index))
                    }
                }
            case .int8, .uint8: preconditionFailure("gradients and parameters are not stored in 8 bits")
            case .float16:
                tensors.withMutableBitPatterns(of: parameter.name) { elements in
                    for index in elements.indices {
                        elements[index] = Binary16(number(at: first &+ UInt32(truncatingIfNeeded: index))).bitPattern
                    }
                }
            case .bfloat16:
                tensors.withMutableBitPatterns(of: parameter.name) { elements in
                    for index in elements.indices {
                        elements[index] = BFloat16(number(at: first &+ UInt32(truncatingIfNeeded: index))).bitPattern
                    }
                }
            }
            first &+= UInt32(truncatingIfNeeded: parameter.count)
        }
    }
}
