import Descent
import DescentCore
import Foundation
import TestSupport
import Testing

/// Adafactor against PyTorch's formula in Double, for tensors of every rank, and what it keeps.
@Suite struct AdafactorTests {
    /// One tensor in Double: its last two dimensions are matrices, of which it is a stack.
    private struct Reference {
        let (stack, rows, columns): (Int, Int, Int)
        let isFactored: Bool
        var parameters: [Double]
        var rowMoments: [Double]
        var columnMoments: [Double]

        init(_ parameter: ParameterDescription, _ values: [Float]) {
            let shape = parameter.shape
            isFactored = shape.count > 1
            let size = (rows: shape.dropLast().last ?? parameter.count, columns: shape.last ?? 1)
            (rows, columns) = isFactored ? size : (parameter.count, 1)
            stack = max(1, shape.dropLast(2).reduce(1, *))
            parameters = values.map { Double($0) }
            rowMoments = [Double](repeating: 0, count: stack * rows)
            columnMoments = [Double](repeating: 0, count: stack * columns)
        }

        mutating func step(_ gradients: [Float], _ step: Int, rate: Double, decay: Double, threshold: Double) {
            let share = pow(Double(step), -0.8)
            func mix(_ moment: inout Double, _ square: Double) { moment += share * (square - moment) }
            let gradients = gradients.map { Double($0) }
            var update = gradients
            let epsilon = Double(Float.ulpOfOne)
            for matrix in 0..<stack {
                func index(_ row: Int, _ column: Int) -> Int { (matrix * rows + row) * columns + column }
                for row in 0..<rows {
                    let squares = (0..<columns).map { gradients[index(row, $0)] * gradients[index(row, $0)] }
                    mix(&rowMoments[matrix * rows + row], squares.reduce(0, +) / Double(columns))
                }
                for column in 0..<columns {
                    let squares = (0..<rows).map { gradients[index($0, column)] * gradients[index($0, column)] }
                    mix(&columnMoments[matrix * columns + column], squares.reduce(0, +) / Double(rows))
                }
                let own = rowMoments[matrix * rows..<(matrix + 1) * rows]
                let mean = max(own.reduce(0, +) / Double(rows), epsilon)
                for row in 0..<rows {
                    for column in 0..<columns {
                        let product = rowMoments[matrix * rows + row] * columnMoments[matrix * columns + column] / mean
                        let moment = isFactored ? product : rowMoments[row]
                        update[index(row, column)] /= max(moment, epsilon * epsilon).squareRoot()
                    }
                }
            }
            func size(_ values: [Double]) -> Double {
                (values.reduce(0) { $0 + $1 * $1 } / Double(values.count)).squareRoot()
            }
            let length = max(0.001, size(parameters)) * min(rate, 1 / Double(step).squareRoot())
            let factor = length / max(1, size(update) / threshold)
            for index in parameters.indices {
                parameters[index] = parameters[index] * (1 - rate * decay) - factor * update[index]
            }
        }
    }

    // A rate above 1 / sqrt(t) for some of the steps, and a threshold that some of the updates exceed.
    @Test(arguments: [(0.01, 1), (0.6, 0.9)]) func `tensors of every rank follow PyTorch's formula`(
        _ rate: Double, _ threshold: Double
    ) throws {
        let layout = try ParameterLayout([
            ParameterDescription("scalar", shape: []), ParameterDescription("vector", shape: [7]),
            ParameterDescription("matrix", shape: [5, 6]), ParameterDescription("row", shape: [1, 9]),
            ParameterDescription("stack", shape: [3, 4, 2]), ParameterDescription("kernel", shape: [3, 2, 4, 5]),
        ])
        var parameters = TensorSet.random(layout, seed: 1)
        var references = zip(layout, parameters.arrays).map { Reference($0, $1) }
        var pipeline = try Pipeline(for: parameters, on: SIMDBackend(threads: 2, blockLength: 8, elementsPerThread: 8))
        {
        } driving: {
            Adafactor(learningRate: rate, clipThreshold: threshold, weightDecay: 0.1)
        }
        for step in 1...5 {
            let gradients = TensorSet.random(layout, seed: UInt64(step) + 1)
            #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
            for (index, parameter) in layout.enumerated() {
                references[index].step(
                    gradients.arrays[index], step, rate: rate, decay: 0.1, threshold: threshold)
                let difference = largestDifference(parameters.arrays[index], references[index].parameters)
                #expect(difference < 1e-5, "\(parameter.name), step \(step)")
            }
        }
    }

    @Test func `where the output unit lies is of no consequence for a matrix`() throws {
        let values = TensorSet.random(try makeLayout([[6, 5]]), seed: 1).arrays[0]
        func train(_ axis: OutputAxis) throws -> [Float] {
            let layout = try ParameterLayout([ParameterDescription("w", shape: [6, 5], outputAxis: axis)])
            var parameters = TensorSet(zeros: layout)
            parameters["w"] = values
            var pipeline = try Pipeline(for: parameters) {
            } driving: {
                Adafactor(learningRate: 0.1)
            }
            for step in 0..<4 as Range<UInt64> {
                let gradients = TensorSet.random(layout, seed: step + 2)
                #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
            }
            return parameters["w"]
        }
        #expect(largestDifference(try train(.first), try train(.last).map { Double($0) }) < 1e-6)
    }

    @Test func `24 matrices of 1,024 squared keep less than 1 MB, and explain says so`() throws {
        let layout = try ParameterLayout(
            (0..<24).map { try ParameterDescription("layer\($0).weight", shape: [1_024, 1_024]) })
        let pipeline = try Pipeline(for: TensorSet(zeros: layout)) {
        } driving: {
            Adafactor()
        }
        let kept = try pipeline.slotNames.map { try #require(pipeline.slot(named: $0)).layout.elementCount }
        #expect(kept == [24_576, 24_576])
        #expect(pipeline.explain().contains("4 B for each of 24576 matrix rows, 98304 B: Adafactor.rows"))
        #expect(pipeline.explain().contains("4 B for each of 24576 matrix columns, 98304 B: Adafactor.columns"))
    }
}
