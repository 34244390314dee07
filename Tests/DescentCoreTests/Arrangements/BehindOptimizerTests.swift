import Descent
import TestSupport
import Testing

/// What stands behind optimizers, held against plain loops.
@Suite struct BehindOptimizerTests {
    private let layout: ParameterLayout
    private let backend = SIMDBackend(threads: 2, blockLength: 8, elementsPerThread: 4)

    init() throws {
        layout = try ParameterLayout([
            ParameterDescription("a", shape: [5, 4]), ParameterDescription("b", shape: [11]),
            ParameterDescription("c", shape: [3, 7], outputAxis: .last), ParameterDescription("d", shape: [2]),
        ])
    }

    private func norm(_ arrays: [[Float]]) -> Double {
        arrays.joined().reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    }

    private func expectClose(_ values: [[Float]], _ others: [[Float]], within distance: Double = 2e-6) {
        #expect(largestDifference(Array(values.joined()), Array(others.joined())) < distance)
    }

    @Test func `a clip behind an optimizer knows the norm of this optimizer's updates alone`() throws {
        var parameters = TensorSet.random(layout, seed: 1)
        var model = parameters.arrays
        var velocities = model.map { $0.map { _ in Float(0) } }
        var pipeline = try Pipeline(for: parameters, on: backend) {
            ClipByGlobalNorm(1.5)
        } driving: {
            SGD(learningRate: 0.1, momentum: 0.5).only(prefix: "a").then { ClipByGlobalNorm(0.25) }
            SGD(learningRate: 0.2, momentum: 0.5).then { ClipByGlobalNorm(0.5) }
        }
        for seed in 2..<7 as Range<UInt64> {
            var gradients = TensorSet.random(layout, seed: seed).arrays
            let outcome = try pipeline.step(&parameters, gradients: .random(layout, seed: seed))
            let factor = Float(min(1, 1.5 / (norm(gradients) + 1e-6)))
            var befores: [Double] = []
            for (own, rate, limit) in [([0], Float(0.1), 0.25), ([1, 2, 3], 0.2, 0.5)] {
                for index in own {
                    for place in gradients[index].indices {
                        velocities[index][place] =
                            0.5 * velocities[index][place] + factor * gradients[index][place]
                        gradients[index][place] = velocities[index][place]
                    }
                }
                befores.append(norm(own.map { gradients[$0] }))
                let factor = Float(min(1, limit / (befores[befores.count - 1] + 1e-6)))
                for index in own {
                    for place in gradients[index].indices {
                        model[index][place] -= rate * factor * gradients[index][place]
                    }
                }
            }
            let norms = try #require(outcome.report?.norms)
            #expect(norms.map(\.stage) == ["ClipByGlobalNorm(1.5)", "ClipByGlobalNorm(0.25)", "ClipByGlobalNorm(0.5)"])
            for (found, expected) in zip(norms.dropFirst(), befores) { #expect(abs(found.before - expected) < 1e-5) }
        }
        expectClose(parameters.arrays, model)
    }

    @Test func `a trust ratio gives each tensor's update a length in proportion to the parameter`() throws {
        var parameters = TensorSet.random(layout, seed: 1)
        parameters["d"] = [0, 0]
        var model = parameters.arrays
        var pipeline = try Pipeline(for: parameters, on: backend) {
        } driving: {
            SGD(learningRate: 0.1, weightDecay: 0.5).then { TrustRatio(maximum: 3) }
        }
        for seed in 2..<6 as Range<UInt64> {
            let gradients = TensorSet.random(layout, seed: seed)
            let outcome = try pipeline.step(&parameters, gradients: gradients)
            var ratios: [Double] = []
            for (index, gradient) in gradients.arrays.enumerated() {
                let update = zip(gradient, model[index]).map { $0 + 0.5 * $1 }
                let (length, own) = (norm([update]), norm([model[index]]))
                let ratio = own > 0 ? min(own / length, 3) : 1
                if own > 0 { ratios.append(ratio) }
                for place in update.indices { model[index][place] -= 0.1 * Float(ratio) * update[place] }
            }
            let values = try #require(outcome.report?.values)
            #expect(values.allSatisfy { $0.stage == "TrustRatio" && $0.name == "trust ratio" })
            #expect(values.map(\.parameter) == (seed == 2 ? ["a", "b", "c"] : ["a", "b", "c", "d"]))
            for (found, expected) in zip(values.map(\.value), ratios) { #expect(abs(found - expected) < 1e-5) }
        }
        expectClose(parameters.arrays, model)
    }

    @Test(arguments: [false, true], [false, true])
    func `an optimizer of whole tensors keeps numbers a row, a column and a tensor`(
        _ hasStages: Bool, _ isInTurn: Bool
    ) throws {
        var parameters = TensorSet.random(layout, seed: 1)
        var model = parameters.arrays
        var pipeline = try Pipeline(for: parameters, on: backend) {
        } driving: {
            // What is behind it takes its direction; alone, it updates.
            Factored(isInTurn: isInTurn).only { $0.name != "b" }.then { if hasStages { Scale(by: 2) } }
            SGD(learningRate: 0)
        }
        var (rows, columns, largest) = ([[Float]](), [[Float]](), [Float](repeating: 0, count: 4))
        for parameter in layout {
            rows.append([Float](repeating: 0, count: parameter.rowCount))
            columns.append([Float](repeating: 0, count: parameter.columnCount))
        }
        for seed in 2..<6 as Range<UInt64> {
            let gradients = TensorSet.random(layout, seed: seed)
            #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
            for (index, gradient) in gradients.arrays.enumerated() where index != 1 {
                let (rowCount, columnCount) = (layout[index].rowCount, layout[index].columnCount)
                let isLast = layout[index].outputAxis == .last
                func place(_ row: Int, _ column: Int) -> Int {
                    isLast ? column * rowCount + row : row * columnCount + column
                }
                for row in 0..<rowCount {
                    let sum = (0..<columnCount).reduce(Float(0)) {
                        $0 + gradient[place(row, $1)] * gradient[place(row, $1)]
                    }
                    rows[index][row] = rows[index][row] / 2 + sum / Float(columnCount) / 2
                }
                for column in 0..<columnCount {
                    let sum = (0..<rowCount).reduce(Float(0)) {
                        $0 + gradient[place($1, column)] * gradient[place($1, column)]
                    }
                    columns[index][column] = columns[index][column] / 2 + sum / Float(rowCount) / 2
                }
                largest[index] = gradient.reduce(largest[index]) { max($0, $1.magnitude) }
                for row in 0..<rowCount {
                    for column in 0..<columnCount {
                        let root = (rows[index][row] * columns[index][column]).squareRoot()
                        let update = gradient[place(row, column)] / (root / (largest[index] + 1) + 0.1)
                        model[index][place(row, column)] -= 0.1 * (hasStages ? 2 : 1) * update
                    }
                }
            }
        }
        expectClose(parameters.arrays, model, within: 1e-5)
        let names = ["Factored.rows", "Factored.columns", "Factored.largest"]
        #expect(pipeline.slotNames == names)
        let kept = try names.map { try #require(pipeline.slot(named: $0)).arrays }
        #expect(kept[0] == [rows[0], [], rows[2], rows[3]])
        #expect(kept[1] == [columns[0], [], columns[2], columns[3]])
        #expect(kept[2] == [[largest[0]], [], [largest[2]], [largest[3]]])
    }

    @Test func `what follows sees the parameters before and after they move, in the order in which it stands`() throws {
        var parameters = TensorSet.random(layout, seed: 1)
        let start = parameters.arrays
        var (model, slow, ways) = (start, start, start.map { $0.map { _ in (first: Float(0), second: Float(0)) } })
        var average = start
        var pipeline = try Pipeline(for: parameters, on: backend) {
            Freeze(prefix: "d")
        } driving: {
            SGD(learningRate: 0.5).then {
                Odometer()
                Lookahead(synchronizationPeriod: 2, slowStepSize: 0.25)
                Odometer()
                ExponentialMovingAverage(decay: 0.75)
            }
        }
        for step in 0..<6 {
            let gradients = TensorSet.random(layout, seed: UInt64(step) + 2)
            #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
            for (index, gradient) in gradients.arrays.enumerated() where index != 3 {
                for place in gradient.indices {
                    let before = model[index][place]
                    model[index][place] -= 0.5 * gradient[place]
                    ways[index][place].first += (model[index][place] - before).magnitude
                    if step % 2 == 1 {
                        slow[index][place] += 0.25 * (model[index][place] - slow[index][place])
                        model[index][place] = slow[index][place]
                    }
                    ways[index][place].second += (model[index][place] - before).magnitude
                    let (value, weight) = (model[index][place], step == 0 ? 1 : Float(0.25))
                    average[index][place] += weight * (value - average[index][place])
                }
            }
            var poisoned = gradients
            poisoned["b"][0] = .nan
            #expect(try !pipeline.step(&parameters, gradients: poisoned).isApplied)
        }
        expectClose(parameters.arrays, model)
        let averaged = try #require(pipeline.averagedParameters)
        expectClose(averaged.arrays, average)
        let first = try #require(pipeline.slot(named: "Odometer.way")).arrays
        let second = try #require(pipeline.slot(named: "Odometer#2.way")).arrays
        for index in 0..<3 {
            expectClose([first[index], second[index]], [ways[index].map(\.first), ways[index].map(\.second)])
        }
        let states = try pipeline.state.components.filter { $0.name.hasPrefix("Odometer") }
        #expect(try states.map { try $0.state.value(as: Odometer.State.self).steps } == [6, 6])
    }

    @Test func `averages of several optimizers are put together, and there is none if one of them keeps none`() throws {
        var parameters = TensorSet.random(layout, seed: 1)
        func makePipeline(_ stages: [any Stage]) throws -> Pipeline {
            try Pipeline(for: parameters, on: backend) {
                Freeze(prefix: "d")
            } driving: {
                SGD(learningRate: 0.5).only(prefix: "b").averagingParameters(decay: 0.5)
                AdamW(learningRate: 0.1).then { stages }
            }
        }
        #expect(try makePipeline([]).averagedParameters == nil)
        var pipeline = try makePipeline([ExponentialMovingAverage(decay: 0.75)])
        var averages: [[Float]] = []
        for step in 0..<3 {
            let gradients = TensorSet.random(layout, seed: UInt64(step) + 2)
            #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
            let now = parameters.arrays
            averages = averages.isEmpty ? now : averages
            for index in layout.indices {
                let weight: Float = step == 0 ? 1 : index == 1 ? 0.5 : 0.25
                for place in now[index].indices {
                    averages[index][place] += weight * (now[index][place] - averages[index][place])
                }
            }
        }
        let averaged = try #require(pipeline.averagedParameters)
        expectClose(averaged.arrays, averages)
        #expect(averaged["d"] == parameters["d"])
    }

    @Test func `a report has the learning rate of each optimizer, with a number where names are the same`() throws {
        var parameters = TensorSet.random(layout, seed: 1)
        var pipeline = try Pipeline(for: parameters, on: backend) {
        } driving: {
            SGD(learningRate: .linear(initial: 1, end: 0, transitionSteps: 4)).only(prefix: "a")
            AdamW(learningRate: 0.5).only(prefix: "b")
            SGD(learningRate: 0.25)
        }
        var report = try pipeline.step(&parameters, gradients: .random(layout, seed: 2)).report
        report = try pipeline.step(&parameters, gradients: .random(layout, seed: 3)).report
        #expect(report?.learningRates.map(\.optimizer) == ["SGD", "AdamW", "SGD#2"])
        #expect(report?.learningRates.map(\.rate) == [0.75, 0.5, 0.25])
        #expect(report?.learningRate == 0.75)
    }
}
