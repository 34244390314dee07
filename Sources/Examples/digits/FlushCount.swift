import Descent

/// How many gradient elements half precision turned into zeros.
struct FlushCount {
    private var nonzero = 0
    private var flushed = 0

    /// Counts gradients, comparing them with what they would have been in float32.
    mutating func add(_ gradients: TensorSet, exact: TensorSet) {
        for parameter in gradients.layout {
            gradients.withElements(of: parameter.name) { rounded in
                exact.withElements(of: parameter.name) { exact in
                    for index in exact.indices where exact[index] != 0 {
                        nonzero += 1
                        if rounded[index] == 0 { flushed += 1 }
                    }
                }
            }
        }
    }

    /// Of the elements that are not zero in float32, the share that became zero; nil if nothing was counted.
    var share: Double? { nonzero == 0 ? nil : Double(flushed) / Double(nonzero) }
}
