import DescentCore

@testable import DescentSIMD

extension ReferenceKernels {
    /// Writes a gradient times a factor, added to a sum where there is one; the destination may be either of them.
    static func accumulate(
        _ gradient: PendingGradient, onto sum: UnsafePointer<Float>?, into destination: UnsafeMutablePointer<Float>,
        factor: Float
    ) {
        let (source, pending) = (gradient.floats, gradient.factor)
        gradient.forEachShift { offset, count, shift in
            if let sum {
                for index in offset..<offset + count {
                    destination[index] = sum[index] + factor * (pending * source[index] + shift)
                }
            } else {
                for index in offset..<offset + count {
                    destination[index] = factor * (pending * source[index] + shift)
                }
            }
        }
    }
}
