import DescentCore
import DescentSIMD

/// The gradients of one step: arrays that share their memory with the tangent vector, by parameter.
struct GradientArrays {
    private var names: [String] = []
    private var arrays: [[Float]] = []

    mutating func append(_ array: [Float], _ name: String) {
        names.append(name)
        arrays.append(array)
    }

    /// Lends the memory of all arrays to a body that only reads it.
    func lend<Result>(
        _ body: (_ tensors: [UnsafeTensor]) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        let plan = LendingPlan(arrays)
        var scratch = plan.makeScratch(arrays)
        return try scratch.withUnsafeMutableBufferPointer { scratch throws(DescentError) in
            var tensors = plan.copied.map { UnsafeTensor(names[$0.position], scratch.extracting($0.range)) }
            func lend(from index: Int) throws(DescentError) -> Result {
                guard index < plan.lent.count else { return try body(tensors) }
                let position = plan.lent[index]
                return try arrays[position].withUnsafeBufferPointer { elements throws(DescentError) in
                    tensors.append(UnsafeTensor(names[position], UnsafeMutableBufferPointer(mutating: elements)))
                    return try lend(from: index + 1)
                }
            }
            return try lend(from: 0)
        }
    }
}
