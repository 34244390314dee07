import Descent
import Synchronization
import TestSupport
import Testing

/// Gradients that are absent although they must not be, and errors while some are.
@Suite struct AbsentGradientErrorTests {
    let layout: ParameterLayout

    init() throws { layout = try makeLayout([[20, 30], [20], [7, 3, 3], [7]]) }

    private func makePipeline(
        _ parameters: TensorSet, _ missing: MissingGradients, @ChainBuilder _ stages: () -> [any Stage] = { [] }
    ) throws -> Pipeline {
        try Pipeline(for: parameters, configuration: .init(missing: missing), stages) { AdamW(learningRate: 0.01) }
    }

    @Test(arguments: Arrival.allCases) func `unless it is allowed, the first that is missing is named`(
        _ arrival: Arrival
    ) throws {
        var parameters = TensorSet.random(layout, seed: 1)
        let before = parameters
        var pipeline = try makePipeline(parameters, .refuse) { Accumulate(steps: 2) }
        let error = #expect(throws: DescentError.self) {
            try pipeline.step(&parameters, before, without: ["layer0.bias", "layer1.bias"], arrival)
        }
        #expect(error?.code == .missingParameter)
        #expect(error?.parameter == "layer0.bias")
        #expect(parameters.bits == before.bits)
        #expect(pipeline.window?.received == (arrival == .oneByOne ? 1 : 0))
    }

    @Test(arguments: [MissingGradients.zero, .skipParameter], Arrival.allCases)
    func `a micro-batch without any gradient that counts is refused`(
        _ missing: MissingGradients, _ arrival: Arrival
    ) throws {
        var parameters = TensorSet.random(layout, seed: 1)
        let before = parameters
        var pipeline = try makePipeline(parameters, missing) {
            Freeze(prefix: "layer0.")
            Accumulate(steps: 2)
        }
        let trained: Set = ["layer1.weight", "layer1.bias"]
        for absent in [trained, Set(layout.map(\.name))] {
            let error = #expect(throws: DescentError.self) {
                try pipeline.step(&parameters, before, without: absent, arrival)
            }
            #expect(error?.code == .missingParameter)
        }
        pipeline.discardReceived()
        #expect(pipeline.window?.received == 0)
        #expect(parameters.bits == before.bits)
        for _ in 0..<2 {
            _ = try pipeline.step(&parameters, before, without: ["layer0.weight", "layer0.bias"], arrival)
        }
        #expect(pipeline.appliedSteps == 1)
    }

    @Test func `lists that are wrong in another way are refused as ever`() throws {
        var parameters = TensorSet.random(layout, seed: 1)
        var pipeline = try makePipeline(parameters, .skipParameter)
        var gradients = parameters
        let codes = try gradients.withUnsafeTensors { gradients throws(DescentError) in
            try parameters.withUnsafeTensors { parameters throws(DescentError) in
                let other = UnsafeMutableBufferPointer<Float>(start: nil, count: 0)
                let lists = [
                    [gradients[0], gradients[0]], [gradients[0], UnsafeTensor("layer0.gain", other)],
                    [gradients[0], UnsafeTensor("layer1.bias", other)], [gradients[0], parameters[1]],
                ]
                var codes = lists.map { list -> DescentError.Code? in
                    do throws(DescentError) {
                        _ = try pipeline.step(unsafeParameters: parameters, unsafeGradients: list)
                        return nil
                    } catch { return error.code }
                }
                do throws(DescentError) {
                    _ = try pipeline.step(unsafeParameters: Array(parameters.dropLast()), unsafeGradients: gradients)
                } catch { codes.append(error.code) }
                return codes
            }
        }
        #expect(
            codes == [.duplicateParameter, .unexpectedParameter, .shapeMismatch, .sharedMemory, .missingParameter])
        #expect(pipeline.appliedSteps == 0)
    }

    /// Throws in the first steps after it was told to.
    private struct Throws: GradientScaling {
        final class Count: Sendable {
            let left = Mutex(0)
        }

        let count: Count
        var requirements: [Requirement] { [.norm(.l2)] }

        mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {
            let throwing = count.left.withLock { left in
                defer { left -= 1 }
                return left > 0
            }
            try DescentError.require(!throwing, name, "told to throw")
            step.scale(by: 0.5)
        }
    }

    @Test(arguments: [MissingGradients.zero, .skipParameter], Arrival.allCases)
    func `a step that throws can be made again, with more gradients or the same`(
        _ missing: MissingGradients, _ arrival: Arrival
    ) throws {
        let count = Throws.Count()
        let absent: Set = ["layer0.bias", "layer1.weight"]
        for length in [1, 2] {
            var parameters = TensorSet.random(layout, seed: 1)
            var pipeline = try makePipeline(parameters, missing) {
                Accumulate(steps: length)
                Centralize()
                ClipByGlobalNorm(1)
                Throws(count: count)
                ClipByZScore(warmup: 1)
            }
            let gradients = TensorSet.random(layout, seed: 3)
            if length == 2 { _ = try pipeline.step(&parameters, gradients, without: ["layer0.bias"], arrival) }
            var (undisturbed, expected) = (pipeline, parameters)
            var (complete, full) = (pipeline, parameters)
            let first = try undisturbed.step(&expected, gradients, without: absent, arrival)
            let whole = try complete.step(&full, gradients: gradients)

            count.left.withLock { $0 = 2 }
            let bits = parameters.bits
            #expect(throws: DescentError.self) {
                try pipeline.step(&parameters, gradients, without: absent, arrival)
            }
            #expect(parameters.bits == bits)
            var (copy, copied) = (pipeline, parameters)
            if arrival == .oneByOne {
                #expect(throws: DescentError.self) { try pipeline.step(&parameters) }
                #expect("\(try pipeline.step(&parameters))" == "\(first)")
                for index in layout.indices where absent.contains(layout[index].name) {
                    try copy.receive(gradients, of: index)
                }
                #expect("\(try copy.step(&copied))" == "\(whole)")
            } else {
                count.left.withLock { $0 = 0 }
                #expect("\(try pipeline.step(&parameters, gradients, without: absent, arrival))" == "\(first)")
                #expect("\(try copy.step(&copied, gradients: gradients))" == "\(whole)")
            }
            #expect(parameters.bits == expected.bits)
            #expect(copied.bits == full.bits)
        }
    }

    /// Throws when it is told to, and says that it cannot.
    private struct Surprises: GradientScaling {
        let count: Throws.Count
        var requirements: [Requirement] { [.norm(.l2)] }
        var canFail: Bool { false }

        mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {
            var base = Throws(count: count)
            try base.prepare(&step)
        }
    }

    @Test func `a window that a stage has left as it closed holds zeros of what was absent`() throws {
        let count = Throws.Count()
        var results: [TensorSet] = []
        for missing in [MissingGradients.zero, .skipParameter] {
            var parameters = TensorSet.random(layout, seed: 1)
            var pipeline = try Pipeline(for: parameters, configuration: .init(missing: missing)) {
                ClipByValue(0.5)
                Accumulate(steps: 3)
                Surprises(count: count)
            } driving: {
                SGD(learningRate: 0.1)
            }
            let absent: [Set<String>] = [[], [], [], ["layer0.bias"], [], []]
            for (index, absent) in absent.enumerated() {
                let gradients = TensorSet.random(layout, seed: UInt64(index))
                func step() throws {
                    _ = try pipeline.step(
                        &parameters, gradients, without: absent, .inExternalMemory, closingWindow: index == 3)
                }
                guard index == 3 else {
                    try step()
                    continue
                }
                count.left.withLock { $0 = 1 }
                #expect(throws: DescentError.self) { try step() }
                #expect(pipeline.window?.received == 1)
            }
            #expect(pipeline.appliedSteps == 2)
            results.append(parameters)
        }
        #expect(results[0].bits == results[1].bits)
    }

    /// An exchange that takes no part in anything, as it is refused before.
    private struct Exchange: GradientExchange {
        var order: StageOrder { StageOrder(expects: [.window, .local], leaves: [.reduced]) }
        var exchanged: ExchangedValues { .gradients }
    }

    @Test(arguments: [MissingGradients.zero, .skipParameter]) func `processes that exchange gradients have all of them`(
        _ missing: MissingGradients
    ) throws {
        let parameters = TensorSet.random(layout, seed: 1)
        let error = #expect(throws: DescentError.self) { try makePipeline(parameters, missing) { Exchange() } }
        #expect(error?.code == .invalidSetting)
        #expect(error?.stage == "Exchange")
    }

    @Test func `a histogram counts what is there`() throws {
        for missing in [MissingGradients.zero, .skipParameter] {
            for arrival in Arrival.allCases {
                var parameters = TensorSet.random(layout, seed: 1)
                var pipeline = try makePipeline(parameters, missing) { ClipByGlobalNorm(1) }
                pipeline.requestHistograms()
                _ = try pipeline.step(&parameters, .random(layout, seed: 2), without: ["layer0.bias"], arrival)
                #expect(pipeline.histograms.map(\.count) == [600, 0, 63, 7])
            }
        }
    }
}
