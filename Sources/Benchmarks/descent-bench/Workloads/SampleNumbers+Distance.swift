import Descent

extension SampleNumbers {
    /// Nothing but zeros.
    static let zeros = SampleNumbers(seed: 0, factor: 0)

    /// The L2 norm of how far tensors of float32 are from these numbers.
    func distance(to tensors: TensorSet) -> Double {
        var first: UInt32 = 0
        var sum = 0.0
        for parameter in tensors.layout {
            tensors.withElements(of: parameter.name) { elements in
                for index in elements.indices {
                    let number = number(at: first &+ UInt32(truncatingIfNeeded: index))
                    let difference = Double(elements[index] - number)
                    sum += difference * difference
                }
            }
            first &+= UInt32(truncatingIfNeeded: parameter.count)
        }
        return sum.squareRoot()
    }
}
