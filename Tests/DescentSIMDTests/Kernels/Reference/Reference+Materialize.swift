import DescentCore

@testable import DescentSIMD

extension ReferenceKernels {
    /// Writes a gradient with everything pending carried out; the destination may be the source.
    static func materialize(_ gradient: PendingGradient, into destination: UnsafeMutablePointer<Float>) {
        let (source, factor) = (gradient.floats, gradient.factor)
        if factor == 1, gradient.means == nil {
            if destination != UnsafeMutablePointer(mutating: source) {
                destination.update(from: source, count: gradient.rows * gradient.columns)
            }
            return
        }
        gradient.forEachShift { offset, count, shift in
            for index in offset..<offset + count { destination[index] = factor * source[index] + shift }
        }
    }
}
