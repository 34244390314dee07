import Descent
import DescentCore
import TestSupport
import Testing

/// The same bits where zeros have signs: pruned weights are often -0.
@Suite struct SignedZeroTests {
    static let optimizers: [any Driving] = [
        SGD(learningRate: 0.1), SGD(learningRate: 0.1, maximize: true),
        SGD(learningRate: 0.1, momentum: 0.9, weightDecay: 0.1, maximize: true),
        SGD(learningRate: 0.1, momentum: 0.9, nesterov: true), AdamW(learningRate: 0.1),
        AdamW(learningRate: 0.1, maximize: true), Adam(weightDecay: 0.1, amsgrad: true), RMSProp(),
        RMSProp(momentum: 0.5, centered: true, maximize: true), Adagrad(), Lion(), Lion(maximize: true), LAMB(),
        SGD(learningRate: 0.1).lookingAhead(synchronizationPeriod: 1), Adagrad().averagingParameters(decay: 0.5),
    ]
    static let chains: [[any Stage]] = [
        [], [Scale(by: -1)], [Centralize()], [Centralize(), Scale(by: 0.5)], [ClipByGlobalNorm(1)],
        [ClipByValue(1)], [Accumulate(steps: 1), Centralize()], [Accumulate(steps: 2)],
    ]

    /// All pairs of parameter and gradient of ±0 and ±1, in rows of their own and mixed.
    private let layout: ParameterLayout
    private let parameters: TensorSet
    private let gradients: TensorSet

    init() throws {
        layout = try ParameterLayout([
            ParameterDescription("vector", shape: [37]), ParameterDescription("matrix", shape: [16, 20]),
            ParameterDescription("last", shape: [9, 4], outputAxis: .last),
        ])
        let values: [Float] = [0, -0.0, 1, -1]
        var (parameters, gradients) = (TensorSet(zeros: layout), TensorSet(zeros: layout))
        for parameter in layout {
            let count = parameter.count
            // A row of the matrix holds a single pair; elsewhere neighbours differ.
            let unit = parameter.name == "matrix" ? 20 : 1
            parameters[parameter.name] = (0..<count).map { values[$0 / unit % 4] }
            gradients[parameter.name] = (0..<count).map { values[$0 / unit / 4 % 4] }
        }
        (self.parameters, self.gradients) = (parameters, gradients)
    }

    /// The bits of parameters and slots after four steps, handed over whole or one by one.
    private func train(
        _ optimizer: any Driving, _ stages: [any Stage], _ level: InstructionSet, threads: Int = 1,
        streams: Bool = false
    ) throws -> [UInt32] {
        var parameters = parameters
        let backend = SIMDBackend(threads: threads, blockLength: 32, elementsPerThread: 16, instructionSet: level)
        var pipeline = try Pipeline(for: parameters, configuration: .init(nonFinite: .propagate), on: backend) {
            stages
        } driving: {
            optimizer
        }
        for _ in 0..<4 {
            if streams {
                for parameter in layout.reversed() {
                    try pipeline.receive(gradients[parameter.name].span, for: parameter.name)
                }
                _ = try pipeline.step(&parameters)
            } else {
                _ = try pipeline.step(&parameters, gradients: gradients)
            }
        }
        // An accumulator is used by a window that is received, and not by one of a single whole micro-batch.
        let names = pipeline.slotNames.filter { !$0.hasSuffix(".sum") }
        return try names.reduce(parameters.bits) { try $0 + #require(pipeline.slot(named: $1)).bits }
    }

    @Test(arguments: optimizers.indices)
    func `instruction sets, threads and streaming agree about signed zeros in parameters, gradients and slots`(
        _ index: Int
    ) throws {
        let optimizer = Self.optimizers[index]
        for stages in Self.chains {
            let expected = try train(optimizer, stages, .portable)
            for level in InstructionSet.allCases where level.isAvailable {
                for streams in [false, true] {
                    let found = try train(optimizer, stages, level, threads: streams ? 3 : 1, streams: streams)
                    #expect(
                        found == expected, "\(optimizer.name), \(stages.map(\.name)), \(level), streams: \(streams)")
                }
            }
        }
    }

    @Test func `scaling and accumulating leave the sign of a zero`() throws {
        for level in InstructionSet.allCases where level.isAvailable {
            let backend = SIMDBackend(threads: 1, instructionSet: level)
            var scaled = gradients
            var scaling = try Chain(for: layout, on: backend) { Scale(by: 2) }
            #expect(try scaling.transform(&scaled).isApplied)
            #expect(scaled.bits == gradients.arrays.joined().map { (2 * $0).bitPattern }, "\(level)")

            var accumulated = gradients
            var accumulating = try Chain(for: layout, on: backend) { Accumulate(steps: 2) }
            #expect(try !accumulating.transform(&accumulated).isApplied)
            #expect(try accumulating.transform(&accumulated).isApplied)
            #expect(accumulated.bits == gradients.bits, "\(level)")
        }
    }

    @Test func `an average starts as the very parameters, signs of zeros included`() throws {
        var parameters = parameters
        var pipeline = try Pipeline(for: parameters) {
        } driving: {
            SGD(learningRate: 0).averagingParameters(decay: 0.5)
        }
        _ = try pipeline.step(&parameters, gradients: TensorSet(zeros: layout))
        #expect(pipeline.averagedParameters?.bits == parameters.bits)
    }
}
