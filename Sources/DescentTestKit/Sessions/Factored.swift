import DescentCore

/// An optimizer of whole tensors that keeps numbers for each row, each column and each tensor, and uses scratch.
///
///     r = r / 2 + mean(g²) of each row / 2;  c = c / 2 + mean(g²) of each column / 2;  t = t / 2 + mean(r) / 2
///     u = g / (√(r · c / (t + 1)) + 1)
struct Factored: DirectionalOptimizer {
    let learningRate: Schedule = 0.1
    var slots: [Slot] {
        [Slot("rows", shape: .row), Slot("columns", shape: .column), Slot("tensor", shape: .tensor)]
    }
    var reach: StageReach { .tensors(inTurn: false) }

    func scratchCount(for parameter: ParameterDescription) -> Int { parameter.count }

    func makeDirection(_ block: inout some UpdateBlock) {
        let (rows, columns) = (block.rowCount, block.columnCount)
        block.withUnsafeElements { memory in
            let (gradient, squares) = (memory.gradient, memory.scratch)
            let (ofRows, ofColumns, ofTensor) = (memory.slots[0], memory.slots[1], memory.slots[2])
            for index in gradient.indices { squares[index] = gradient[index] * gradient[index] }
            for row in 0..<rows {
                let sum = (0..<columns).reduce(Float(0)) { $0 + squares[row * columns + $1] }
                ofRows[row] = ofRows[row] / 2 + sum / Float(columns) / 2
            }
            for column in 0..<columns {
                let sum = (0..<rows).reduce(Float(0)) { $0 + squares[$1 * columns + column] }
                ofColumns[column] = ofColumns[column] / 2 + sum / Float(rows) / 2
            }
            ofTensor[0] = ofTensor[0] / 2 + ofRows.reduce(0, +) / Float(rows) / 2
            for index in gradient.indices {
                let product = ofRows[index / columns] * ofColumns[index % columns]
                gradient[index] /= (product / (ofTensor[0] + 1)).squareRoot() + 1
            }
        }
    }
}
