import Descent
import DescentCore
import TestSupport
import Testing

/// Random chains, fed with anything: NaN, infinities, subnormals, the largest finite numbers.
@Suite struct PipelineFuzzTests {
    @Test func `no gradient makes a pipeline trap, or change anything in a step that is not applied`() async {
        await #expect(processExitsWith: .success) {
            try Fuzzing.run("pipelines", count: 1_000) { seed, draw in try Self.check(seed, &draw) }
        }
        Fuzzing.reportUnfinishedCase("pipelines")
    }

    private static func check(_ seed: UInt64, _ draw: inout Fuzzing.Draw) throws {
        let test = try RandomCase(seed: seed)
        var parameters = gradients(test.layout, .float32, &draw, ordinary: true)
        let nonFinite: NonFinitePolicy = draw.isLucky(oneIn: 6) ? .propagate : .skip
        let level = draw.element(InstructionSet.allCases.filter(\.isAvailable))
        func makePipeline(_ threads: Int, _ level: InstructionSet) throws -> Pipeline {
            let backend = SIMDBackend(threads: threads, blockLength: 24, elementsPerThread: 8, instructionSet: level)
            return try Pipeline(for: parameters, configuration: .init(nonFinite: nonFinite), on: backend) {
                test.stages
            } driving: {
                test.optimizer
            }
        }
        var pipeline = try makePipeline(1, .portable)
        var other = try makePipeline(2, level)
        var otherParameters = parameters
        for _ in 0..<draw.number(1...6) {
            let type = draw.isLucky(oneIn: 3) ? draw.element(ElementType.allCases) : .float32
            let gradients = gradients(test.layout, type, &draw, ordinary: draw.isLucky(oneIn: 2))
            let weight = draw.isLucky(oneIn: 5) ? 0 : Double(draw.number(1...9))
            let before = parameters.bits
            let appliedSteps = pipeline.appliedSteps
            let isTaken = try step(&pipeline, &parameters, gradients, weight)
            _ = try step(&other, &otherParameters, gradients, weight)
            guard !isTaken else { continue }
            guard parameters.bits == before, pipeline.appliedSteps == appliedSteps else {
                throw Fuzzing.Failure(description: "a step that was not taken changed something: \(test.description)")
            }
        }
        guard same(parameters, otherParameters), pipeline.appliedSteps == other.appliedSteps else {
            throw Fuzzing.Failure(description: "\(level) with 2 threads gives other bits: \(test.description)")
        }
    }

    /// Whether a step was taken; a loss scale that is exhausted is nothing out of the ordinary here.
    private static func step(
        _ pipeline: inout Pipeline, _ parameters: inout TensorSet, _ gradients: TensorSet, _ weight: Double
    ) throws -> Bool {
        do {
            let outcome = try pipeline.step(&parameters, gradients: gradients, weight: weight)
            if case .accumulated = outcome { return false }
            return outcome.skipReason == nil
        } catch {
            guard error.code == .lossScaleExhausted else { throw error }
            return false
        }
    }

    /// Whether two sets have the same bits, whatever a NaN's.
    private static func same(_ first: TensorSet, _ second: TensorSet) -> Bool {
        zip(first.arrays.joined(), second.arrays.joined()).allSatisfy {
            $0.bitPattern == $1.bitPattern || ($0.isNaN && $1.isNaN)
        }
    }

    /// Ordinary numbers, or such of which some are anything that a float can be.
    private static func gradients(
        _ layout: ParameterLayout, _ type: ElementType, _ draw: inout Fuzzing.Draw, ordinary: Bool
    ) -> TensorSet {
        let special: [Float] = [
            0, -0.0, .nan, .infinity, -.infinity, .greatestFiniteMagnitude, -.greatestFiniteMagnitude,
            .leastNonzeroMagnitude, -.leastNormalMagnitude, 1e-38, 1e38, -1e20, 65_504, 65_520, 6e-8,
        ]
        let finite = special.filter(\.isFinite)
        let odds = draw.number(1...40)
        let palette = draw.isLucky(oneIn: 2) ? special : finite
        var tensors = TensorSet(zeros: layout, type)
        for parameter in layout {
            tensors[parameter.name] = (0..<parameter.count).map { _ in
                if !ordinary, draw.isLucky(oneIn: odds) { return draw.element(palette) }
                return Float(draw.number(-1_000...1_000)) / 500
            }
        }
        return tensors
    }
}
