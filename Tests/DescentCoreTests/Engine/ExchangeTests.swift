import Descent
import Synchronization
import Testing

/// What an exchange of gradients is asked for, and when: with a process that stands for two.
@Suite struct ExchangeTests {
    /// What the engine has called, in order.
    private final class Calls: Sendable {
        private let log = Mutex<[String]>([])
        /// Why the other process wants the next step skipped.
        let reason = Mutex<SkipReason?>(nil)
        /// Whether the other process throws when it is asked to do the same.
        let isRefused = Mutex(false)

        func note(_ call: String) { log.withLock { $0.append(call) } }

        /// The calls since the last time.
        func take() -> [String] {
            log.withLock { calls in
                defer { calls = [] }
                return calls
            }
        }
    }

    /// Doubles gradients, as the sum with a process that has the same ones.
    private struct Twin: GradientExchange {
        let calls: Calls
        var isAlone = false
        private var isConnected = false
        private var factor: Float = 1
        private var sums: [Int: [Float]] = [:]

        init(_ calls: Calls, isAlone: Bool = false) {
            self.calls = calls
            self.isAlone = isAlone
        }

        var order: StageOrder { StageOrder(expects: [.window, .local], leaves: [.reduced]) }
        var exchanged: ExchangedValues { isAlone ? [] : .gradients }

        mutating func connect(
            _ parameters: [Int], of layout: ParameterLayout, as setup: PipelineSetup
        ) throws(DescentError) {
            calls.note("connect \(parameters)\(isConnected ? " again" : "")")
            isConnected = true
        }

        mutating func begin(_ contribution: Contribution) throws(DescentError) {
            calls.note(
                "begin \(contribution.factor) \(contribution.weight) \(contribution.skipReason?.code.description ?? "-")"
            )
            factor = contribution.factor
            sums = [:]
        }

        mutating func contribute(_ gradients: some TensorStorage, of parameter: Int) throws(DescentError) {
            calls.note("contribute \(parameter)")
            let factor = factor
            sums[parameter] = try gradients.withBytes(of: parameter) { bytes in
                bytes.bindMemory(to: Float.self).map { 2 * factor * $0 }
            }
        }

        mutating func compare(_ parameters: some TensorStorage) throws(DescentError) { calls.note("compare") }
        mutating func abandon(_ error: DescentError) { calls.note("abandon \(error.code)") }

        mutating func settle(_ decision: StepDecision) throws(DescentError) {
            switch decision {
            case .update: calls.note("settle update")
            case .skip(let reason): calls.note("settle \(reason.code)")
            case .accumulate: calls.note("settle accumulation")
            }
            if calls.isRefused.withLock({ $0 }) { throw DescentError(.init("refusal"), "not here") }
        }

        mutating func collect(into gradients: inout some TensorStorage) throws(DescentError) -> SkipReason? {
            calls.note("collect")
            if let reason = calls.reason.withLock({ $0 }) { return reason }
            for (parameter, sum) in sums {
                try gradients.withMutableBytes(of: parameter) {
                    _ = $0.bindMemory(to: Float.self).update(fromContentsOf: sum)
                }
            }
            return nil
        }
    }

    private let calls = Calls()
    private let start: TensorSet

    init() throws {
        start = try TensorSet([
            ParameterDescription("a", shape: [2]), ParameterDescription("frozen", shape: [1]),
            ParameterDescription("b", shape: [3]),
        ])
    }

    private func pipeline(_ before: [any Stage] = [], isAlone: Bool = false) throws -> Pipeline {
        try Pipeline(for: start) {
            Freeze(prefix: "frozen")
            before
            Twin(calls, isAlone: isAlone)
            ClipByGlobalNorm(.infinity)
        } driving: {
            SGD(learningRate: 1)
        }
    }

    private func ones(_ value: Float = 1) -> TensorSet {
        var gradients = TensorSet(zeros: start.layout)
        for name in ["a", "b"] { gradients[name] = gradients[name].map { _ in value } }
        return gradients
    }

    @Test func `a step contributes every parameter that takes part, last ones first, and moves along the sum`() throws {
        var (pipeline, parameters) = (try pipeline(), start)
        #expect(calls.take() == ["connect [0, 2]"])
        let report = try #require(try pipeline.step(&parameters, gradients: ones(), weight: 3).report)
        #expect(
            calls.take()
                == ["begin 1.0 3.0 -", "contribute 2", "contribute 0", "compare", "collect", "settle update"])
        #expect(parameters["b"] == [-2, -2, -2])
        #expect(parameters["frozen"] == [0])
        #expect(report.gradientNorm == (20.0).squareRoot())
    }

    @Test func `gradients that arrive one by one are contributed as they do, to the same end`() throws {
        var (pipeline, parameters) = (try pipeline(), start)
        _ = calls.take()
        try pipeline.receive(ones(), of: 0)
        #expect(calls.take() == ["begin 1.0 1.0 -", "contribute 0"])
        for index in [1, 2] { try pipeline.receive(ones(), of: index) }
        #expect(try pipeline.step(&parameters).isApplied)
        #expect(calls.take() == ["contribute 2", "compare", "collect", "settle update"])
        #expect(parameters["b"] == [-2, -2, -2])
    }

    @Test func `only what closes a window is exchanged, with what its sum is multiplied by`() throws {
        var (pipeline, parameters) = (try pipeline([Accumulate(steps: 2)]), start)
        _ = calls.take()
        _ = try pipeline.step(&parameters, gradients: ones(1))
        #expect(calls.take().isEmpty)
        #expect(try pipeline.step(&parameters, gradients: ones(5)).isApplied)
        #expect(calls.take().first == "begin 0.5 2.0 -")
        #expect(parameters["a"] == [-6, -6])
    }

    @Test func `what another process skips is skipped, and the next step is as if it had not been`() throws {
        var (pipeline, parameters) = (try pipeline(), start)
        calls.reason.withLock { $0 = SkipReason(.nonFinite, parameter: "b", "on rank 1: a NaN") }
        #expect(try pipeline.step(&parameters, gradients: ones()).skipReason?.description == "on rank 1: a NaN")
        #expect(parameters == start)
        calls.reason.withLock { $0 = nil }
        #expect(try pipeline.step(&parameters, gradients: ones()).isApplied)
        #expect(parameters["a"] == [-2, -2])
    }

    @Test func `a window that cannot become a step is announced with the reason, and a NaN is looked for in the sum`()
        throws
    {
        var (pipeline, parameters) = (try pipeline([Accumulate(steps: 1, nonFinite: .dropMicroBatch)]), start)
        _ = calls.take()
        calls.reason.withLock { $0 = SkipReason(.emptyWindow, "empty everywhere") }
        #expect(try pipeline.step(&parameters, gradients: ones(.nan)).skipReason?.code == .emptyWindow)
        #expect(calls.take().first?.hasSuffix("emptyWindow") == true)
        calls.reason.withLock { $0 = nil }
        var unaccumulated = try self.pipeline()
        let outcome = try unaccumulated.step(&parameters, gradients: ones(.nan))
        #expect(outcome.skipReason?.parameter == "a")
        #expect(parameters == start)
    }

    @Test func `others are told of wrong arguments where they would wait, and only there`() throws {
        var (pipeline, parameters) = (try pipeline([Accumulate(steps: 2)]), start)
        _ = calls.take()
        #expect(throws: DescentError.self) { try pipeline.step(&parameters, gradients: ones(), weight: -1) }
        #expect(calls.take().isEmpty)
        #expect(throws: DescentError.self) {
            try pipeline.step(&parameters, gradients: ones(), weight: -1, closingWindow: true)
        }
        #expect(calls.take() == ["abandon invalidWeight"])
        _ = try pipeline.step(&parameters, gradients: ones())
        #expect(throws: DescentError.self) { try pipeline.step(&parameters, gradients: ones(), lossScale: 2) }
        #expect(calls.take() == ["abandon lossScaleMismatch"])
    }

    @Test func `what was received and discarded is abandoned`() throws {
        var (pipeline, parameters) = (try pipeline(), start)
        _ = calls.take()
        try pipeline.receive(ones(), of: 2)
        pipeline.discardReceived()
        #expect(calls.take() == ["begin 1.0 1.0 -", "contribute 2", "abandon incompleteMicroBatch"])
        #expect(try pipeline.step(&parameters, gradients: ones()).isApplied)
    }

    @Test(arguments: [0, 1, 2], [false, true])
    func `a step that another process refuses is as if it had not been, and can be tried again`(
        length: Int, isStreamed: Bool
    ) throws {
        let window: [any Stage] = length == 0 ? [] : [Accumulate(steps: length)]
        var (pipeline, parameters) = (try pipeline(window), start)
        var (undisturbed, expected) = (pipeline, start)
        func step(_ pipeline: inout Pipeline, _ parameters: inout TensorSet, _ value: Float) throws -> StepOutcome {
            guard isStreamed else { return try pipeline.step(&parameters, gradients: ones(value)) }
            for index in 0..<3 { try pipeline.receive(ones(value), of: index) }
            return try pipeline.step(&parameters)
        }
        for microBatch in 1...3 * max(1, length) {
            let closes = length == 0 || microBatch % length == 0
            let before = (parameters, try pipeline.state)
            if closes {
                calls.isRefused.withLock { $0 = true }
                _ = calls.take()
                let error = try #require(throws: DescentError.self) {
                    try step(&pipeline, &parameters, Float(microBatch))
                }
                #expect(error.code.description == "refusal")
                #expect(calls.take().filter { $0.hasPrefix("abandon") }.isEmpty)
                #expect(parameters == before.0)
                #expect(try pipeline.state.counters == before.1.counters)
                #expect(pipeline.window?.received ?? 0 == max(0, length - 1))
                calls.isRefused.withLock { $0 = false }
            }
            #expect(try step(&pipeline, &parameters, Float(microBatch)).isApplied == closes)
            #expect(try step(&undisturbed, &expected, Float(microBatch)).isApplied == closes)
            #expect(parameters == expected)
        }
    }

    @Test func `a stage that throws is an error that others are told of, where they wait`() throws {
        var parameters = start
        var pipeline = try Pipeline(for: parameters) {
            Accumulate(steps: 2)
            Twin(calls)
            Refusing()
        } driving: {
            SGD(learningRate: 1)
        }
        _ = try pipeline.step(&parameters, gradients: ones())
        _ = calls.take()
        #expect(throws: DescentError.self) { try pipeline.step(&parameters, gradients: ones()) }
        #expect(calls.take().suffix(2) == ["collect", "abandon refusal"])
        #expect(pipeline.window?.received == 1)
    }

    @Test func `settings that are changed are compared with those of others over the same connection`() throws {
        var pipeline = try pipeline()
        try pipeline.change(ClipByGlobalNorm.self) { $0.maximum = 1 }
        #expect(calls.take() == ["connect [0, 2]", "connect [0, 2] again"])
        try pipeline.relayout(
            for: TensorSet([ParameterDescription("b", shape: [3]), ParameterDescription("frozen", shape: [1])]))
        #expect(calls.take() == ["connect [0] again"])
    }

    @Test func `a process that is alone exchanges nothing, and keeps its place in a checkpoint`() throws {
        var (pipeline, parameters) = (try pipeline(isAlone: true), start)
        #expect(try pipeline.step(&parameters, gradients: ones()).isApplied)
        #expect(calls.take().isEmpty)
        #expect(parameters["a"] == [-1, -1])
        #expect(try pipeline.state.components.map(\.kind) == ["Freeze", "Twin", "ClipByGlobalNorm", "SGD"])
        #expect(!pipeline.explain().contains("exchanges"))
        #expect(try self.pipeline().explain().contains("  Twin exchanges each window before it is measured\n"))
    }
}

/// Throws whenever it is prepared.
private struct Refusing: GradientTransform {
    var state = Stateless()

    mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {
        throw DescentError(.init("refusal"), "not now")
    }

    func transform(_ block: inout some GradientBlock) {}
}
