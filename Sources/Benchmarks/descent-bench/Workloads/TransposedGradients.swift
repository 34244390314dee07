import Descent

/// Gradients that lie in memory with their columns as rows, as some frameworks make those of linear layers.
final class TransposedGradients {
    /// The tensors, with the strides that say so.
    let tensors: [UnsafeTensor]
    private let memory: [UnsafeMutableBufferPointer<Float>]

    /// Copies gradients of one or two axes.
    init(_ gradients: TensorSet) {
        var (tensors, memory): ([UnsafeTensor], [UnsafeMutableBufferPointer<Float>]) = ([], [])
        for parameter in gradients.layout {
            let (rows, columns) = (parameter.rowCount, parameter.columnCount)
            let elements = UnsafeMutableBufferPointer<Float>.allocate(capacity: parameter.count)
            for (index, value) in gradients[parameter.name].enumerated() {
                let (row, column) = index.quotientAndRemainder(dividingBy: columns)
                elements.initializeElement(at: column * rows + row, to: value)
            }
            memory.append(elements)
            let strides = parameter.rank == 2 ? [1, rows] : [1]
            tensors.append(UnsafeTensor(parameter.name, shape: parameter.shape, strides: strides, elements))
        }
        (self.tensors, self.memory) = (tensors, memory)
    }

    deinit { for elements in memory { elements.deallocate() } }
}
