import Descent
import TestSupport
import Testing

/// Numbers that a stage measures by itself, with factors between it and what is measured.
@Suite struct OwnMeasurementTests {
    private let layout: ParameterLayout
    private let backend = SIMDBackend(threads: 2, blockLength: 8, elementsPerThread: 4)

    init() throws {
        layout = try ParameterLayout([
            ParameterDescription("a", shape: [5, 4]), ParameterDescription("b", shape: [11]),
            ParameterDescription("c", shape: [3, 7], outputAxis: .last),
        ])
    }

    /// What a stage has written down of parameters, by name.
    private func values(_ outcome: StepOutcome, _ name: String) -> [Double] {
        outcome.report?.values.filter { $0.name == name && $0.parameter != nil }.map(\.value) ?? []
    }

    private func expectClose(_ found: [Double], _ expected: [Double]) {
        #expect(found.count == expected.count)
        for (found, expected) in zip(found, expected) {
            #expect(abs(found - expected) <= 1e-5 * max(1, expected.magnitude))
        }
    }

    @Test(arguments: [1, 0.5, -3]) func `the stage learns what it would have measured behind the factors`(
        _ factor: Float
    ) throws {
        var parameters = TensorSet(zeros: layout)
        var momentum = layout.map { [Double](repeating: 0, count: $0.count) }
        var pipeline = try Pipeline(for: parameters, on: backend) {
            Scale(by: factor)
            Aligned()
        } driving: {
            SGD(learningRate: 0.1)
        }
        for seed in 2..<6 as Range<UInt64> {
            let gradients = TensorSet.random(layout, seed: seed)
            let outcome = try pipeline.step(&parameters, gradients: gradients)
            let scaled = gradients.arrays.map { $0.map { Double($0) * Double(factor) } }
            let products = zip(scaled, momentum).map { zip($0, $1).reduce(0) { $0 + $1.0 * $1.1 } }
            let squares = scaled.map { $0.reduce(0) { $0 + $1 * $1 } }
            expectClose(values(outcome, "product"), products)
            #expect(values(outcome, "dot product") == values(outcome, "product"))
            expectClose(values(outcome, "squares"), squares)
            // What grows with no power of a factor is measured once all factors are in.
            expectClose(values(outcome, "above 1"), scaled.map { $0.reduce(0) { max($0, $1.magnitude - 1) } })
            // A count of degree 0 is taken of the gradient in front of the factors, whatever their sign.
            let positive = gradients.arrays.map { Double($0.count { $0 > 0 }) }
            #expect(values(outcome, "positive") == positive || factor != -3)
            let total = try #require(outcome.report?.values.last { $0.name == "squares" })
            #expect(total.parameter == nil)
            expectClose([total.value], [squares.reduce(0, +)])
            for index in momentum.indices {
                for place in momentum[index].indices {
                    momentum[index][place] = momentum[index][place] / 2 + scaled[index][place] / 2
                }
            }
        }
    }

    /// Measures one number, of a degree.
    private struct Measuring: GradientTransform {
        let measurement: TensorMeasurement

        var requirements: [Requirement] { [.measured(measurement)] }
        func measure(_ measurement: TensorMeasurement, of block: inout some GradientBlock) -> Double { 1 }
        func transform(_ block: inout some GradientBlock) {}
    }

    @Test func `a number takes an earlier sweep only if it grows with no power of factors that are measured`() throws {
        func sweeps(_ stages: [any Stage]) throws -> Int {
            try Pipeline(for: TensorSet(zeros: layout), on: backend) {
                stages
            } driving: {
                SGD(learningRate: 1)
            }.sweepCount
        }
        for degree in [0, 1, 2] {
            let measuring = Measuring(measurement: TensorMeasurement("number", degree: degree))
            #expect(try sweeps([measuring]) == 2)
            #expect(try sweeps([ClipByGlobalNorm(1), measuring]) == 2)
            #expect(try sweeps([ClipByGlobalNorm(1), Scale(by: 2), measuring, ClipByNorm(1)]) == 3)
        }
        let measuring = Measuring(measurement: TensorMeasurement("number", degree: nil))
        #expect(try sweeps([measuring]) == 2)
        #expect(try sweeps([Scale(by: 2), measuring]) == 2)
        #expect(try sweeps([ClipByGlobalNorm(1), measuring]) == 3)
    }

    @Test func `numbers of blocks are added, compared or combined as norms, in the order of blocks`() throws {
        struct Counting: GradientTransform {
            static let sum = TensorMeasurement("sum", .sum)
            static let largest = TensorMeasurement("largest", .largest)
            static let norm = TensorMeasurement("norm", .norm)
            var requirements: [Requirement] { [.measured(Self.sum), .measured(Self.largest), .measured(Self.norm)] }
            func measure(_ measurement: TensorMeasurement, of block: inout some GradientBlock) -> Double {
                Double(block.count)
            }
            func transform(_ block: inout some GradientBlock) {}
            mutating func prepare(_ step: inout StepPreparation) {
                for measurement in [Self.sum, Self.largest, Self.norm] {
                    step.record(measurement.name, step.incoming.value(measurement, of: 0), of: 0)
                    step.record(measurement.name, step.incoming.value(measurement))
                }
            }
        }
        var parameters = TensorSet(zeros: layout)
        var pipeline = try Pipeline(for: parameters, on: backend) {
            Counting()
        } driving: {
            SGD(learningRate: 1)
        }
        let outcome = try pipeline.step(&parameters, gradients: .random(layout, seed: 1))
        let values = try #require(outcome.report?.values).map(\.value)
        // Blocks of 8, 8 and 4 elements; of 8 and 3; and the third, whose units are taken by whole vectors.
        #expect(values[0] == 20)
        #expect(values[1] == 52)
        #expect(values[2] == 8)
        #expect(values[4] == 12)
        #expect(values[3] >= 8 && values[3] <= 21)
        #expect(values[5] > 12 && values[5] < 52)
    }

    @Test func `what is observed is known when the step has ended, behind the factors of stages before`() throws {
        struct Observing: GradientTransform {
            static let sum = TensorMeasurement("sum of squares", degree: 2)
            struct State: Codable, Sendable { var sums: [Double] = [] }
            var state = State()
            var observations: [Requirement] { [.measured(Self.sum)] }
            func measure(_ measurement: TensorMeasurement, of block: inout some GradientBlock) -> Double {
                let norm = block.norm(.l2)
                return norm * norm
            }
            func transform(_ block: inout some GradientBlock) {}
            mutating func finish(_ result: StepResult) { state.sums.append(result.incoming.value(Self.sum)) }
        }
        var parameters = TensorSet(zeros: layout)
        var pipeline = try Pipeline(for: parameters, on: backend) {
            ClipByGlobalNorm(2, epsilon: 0)
            Observing()
            Disturbance { $0 == 1 ? .veto : .none }
        } driving: {
            SGD(learningRate: 1)
        }
        for seed in 1..<4 as Range<UInt64> {
            _ = try pipeline.step(&parameters, gradients: .random(layout, seed: seed))
        }
        let state = try pipeline.state.components[1].state.value(as: Observing.State.self)
        expectClose(state.sums, [4, 4, 4])
    }

    @Test func `records of a step that was skipped, or is taken again, are in no report`() throws {
        var parameters = TensorSet(zeros: layout)
        var pipeline = try Pipeline(for: parameters, on: backend) {
            Aligned()
            Disturbance { $0 == 1 ? .veto : .none }
        } driving: {
            AdamW().then { TrustRatio() }
        }
        parameters = .random(layout, seed: 9)
        for step in 0..<4 {
            let outcome = try pipeline.step(&parameters, gradients: .random(layout, seed: UInt64(step)))
            #expect(outcome.isApplied == (step != 1))
            guard step != 1 else { continue }
            let values = try #require(outcome.report?.values)
            #expect(values.count == 3 * 5 + 1 + 3)
            #expect(Set(values.map(\.stage)) == ["Aligned", "TrustRatio"])
        }
    }
}
