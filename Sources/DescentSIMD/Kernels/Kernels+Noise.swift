import CDescentKernels
import DescentCore

extension Kernels {
    /// Adds normal numbers to elements of one parameter, row by row.
    ///
    /// - Parameters:
    ///   - noise: What the numbers are.
    ///   - elements: The elements.
    ///   - count: How many there are.
    ///   - first: The place of the first of them in the parameter.
    func add(_ noise: NormalNoise, to elements: UnsafeMutablePointer<Float>, count: Int, from first: Int) {
        let noise = descent_noise(
            seed: noise.seed, parameter: noise.parameter, step: noise.step, deviation: noise.deviation)
        withUnsafePointer(to: noise) { table.pointee.add_normal_noise(elements, count, UInt64(first), $0) }
    }
}
