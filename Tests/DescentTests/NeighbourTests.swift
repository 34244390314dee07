import Descent
import Synchronization
import TestSupport
import Testing

/// Small tensors that lie side by side are worked on as one block; what comes out is what each alone would give.
@Suite struct NeighbourTests {
    /// How a pipeline is handed its tensors: in a set, where neighbours lie together, or as memory of a host, where they
    /// count as lying apart.
    enum Place: CaseIterable { case together, apart }

    private static let count = 70

    /// Many small tensors, some of which cannot be joined: others in size, rank, rows, axis, or between frozen ones.
    private static func layout() throws -> ParameterLayout {
        var parameters: [ParameterDescription] = []
        for index in 0..<count {
            switch index % 10 {
            case 7: parameters.append(try ParameterDescription("p\(index)", shape: [13, 5]))
            case 8: parameters.append(try ParameterDescription("p\(index)", shape: [64]))
            case 9: parameters.append(try ParameterDescription("p\(index)", shape: [64]))
            default: parameters.append(try ParameterDescription("p\(index)", shape: [8 + 4 * (index % 3), 16]))
            }
        }
        return try ParameterLayout(parameters)
    }

    /// What stands in front of the optimizer.
    enum Chain: CaseIterable { case plain, norms, limits }

    /// Which optimizer.
    enum Method: String, CaseIterable {
        case adamW, grouped, amsgrad, sgd, lion, rmsProp, adagrad, adadelta, adamax, nAdam, rAdam, adaBelief, yogi,
            adEMAMix

        var optimizer: any Optimizer {
            switch self {
            case .adamW: AdamW(learningRate: 0.01, weightDecay: 0.1)
            case .grouped:
                AdamW(
                    learningRate: 0.01, weightDecay: 0.1, groups: [ParameterGroup.named(prefix: "p1", weightDecay: 0)])
            case .amsgrad: Adam(learningRate: 0.01, amsgrad: true, maximize: true)
            case .sgd: SGD(learningRate: 0.01, momentum: 0.9, maximize: true)
            case .lion: Lion(learningRate: 0.01)
            case .rmsProp: RMSProp(learningRate: 0.01, momentum: 0.5, centered: true)
            case .adagrad: Adagrad(learningRate: 0.01)
            case .adadelta: Adadelta(learningRate: 0.01)
            case .adamax: Adamax(learningRate: 0.01)
            case .nAdam: NAdam(learningRate: 0.01)
            case .rAdam: RAdam(learningRate: 0.01)
            case .adaBelief: AdaBelief(learningRate: 0.01)
            case .yogi: Yogi(learningRate: 0.01)
            case .adEMAMix: AdEMAMix(learningRate: 0.01)
            }
        }
    }

    private static func pipeline(
        _ parameters: TensorSet, _ threads: Int, _ method: Method, _ chain: Chain
    ) throws -> Pipeline {
        try Pipeline(for: parameters, on: SIMDBackend(threads: threads, elementsPerThread: 512)) {
            Unscale(.static(8))
            Freeze(prefix: "p40")
            Centralize()
            if chain == .norms { ClipByNorm(0.5) }
            if chain == .limits { ClipByValue(0.3) }
            ClipByGlobalNorm(1)
        } driving: {
            method.optimizer
        }
    }

    private static func gradients(_ layout: ParameterLayout, step: Int, spoiled: Bool) -> TensorSet {
        var gradients = TensorSet(zeros: layout)
        var generator = SeededGenerator(seed: UInt64(step) + 1)
        for parameter in layout {
            gradients.withMutableElements(of: parameter.name) { elements in
                for index in elements.indices { elements[index] = generator.normal() }
            }
        }
        if spoiled { gradients.withMutableElements(of: "p33") { $0[17] = .nan } }
        return gradients
    }

    private static func train(
        _ place: Place, threads: Int, _ method: Method, _ chain: Chain
    ) throws -> (bits: [UInt32], outcomes: [String], norms: [Double]) {
        let layout = try layout()
        var parameters = gradients(layout, step: 100, spoiled: false)
        var pipeline = try pipeline(parameters, threads, method, chain)
        var outcomes: [String] = []
        var seen: [Double] = []
        for step in 0..<6 {
            var gradients = gradients(layout, step: step, spoiled: step == 3)
            // A parameter that goes beyond float32 in its update is named.
            if step == 5 { parameters.withMutableElements(of: "p21") { $0[3] = .greatestFiniteMagnitude } }
            let outcome: StepOutcome
            switch place {
            case .together: outcome = try pipeline.step(&parameters, gradients: gradients)
            case .apart:
                outcome = try parameters.withUnsafeTensors { (own) throws(DescentError) in
                    try gradients.withUnsafeTensors { (incoming) throws(DescentError) in
                        try pipeline.step(unsafeParameters: own, unsafeGradients: incoming)
                    }
                }
            }
            switch outcome {
            case .applied(let report):
                outcomes.append("applied")
                seen += report.norms.map(\.before)
            case .skipped(let reason): outcomes.append("\(reason)")
            case .diverged(let divergence): outcomes.append("\(divergence.parameter)")
            case .accumulated: outcomes.append("accumulated")
            }
        }
        var bits: [UInt32] = []
        for tensors in [parameters] + pipeline.slotNames.compactMap({ pipeline.slot(named: $0) }) {
            for parameter in layout {
                tensors.withElements(of: parameter.name) { elements in
                    for index in elements.indices {
                        bits.append(elements[index].isNaN ? 0 : elements[index].bitPattern)
                    }
                }
            }
        }
        return (bits, outcomes, seen)
    }

    @Test(arguments: Method.allCases, Chain.allCases) func `neighbours get the bits that each alone would get`(
        _ method: Method, _ chain: Chain
    ) throws {
        // What stands in front does not know the optimizer.
        guard chain == .norms || method == .adamW else { return }
        let expected = try Self.train(.apart, threads: 1, method, chain)
        #expect(expected.outcomes.filter { $0 == "applied" }.count >= 4)
        #expect(expected.outcomes[3].contains("\"p33\""))
        for threads in method == .adamW ? [1, 3] : [1] {
            let result = try Self.train(.together, threads: threads, method, chain)
            #expect(result.bits == expected.bits, "\(threads) threads")
            #expect(result.outcomes == expected.outcomes)
            #expect(result.norms.map(\.bitPattern) == expected.norms.map(\.bitPattern))
        }
    }

    /// Counts the tensors of the blocks that it is handed.
    private struct Counting: GradientTransform {
        final class Largest: Sendable {
            let count = Mutex(0)
        }
        let largest = Largest()
        var effect: StageEffect { .linear }
        var treatsParametersAlike: Bool { true }
        func transform(_ block: inout some GradientBlock) {
            let count = block.tensorCount
            largest.count.withLock { $0 = max($0, count) }
        }
    }

    @Test func `a stage that treats all parameters alike is handed several at once, unless a host holds them`() throws {
        let layout = try Self.layout()
        var parameters = Self.gradients(layout, step: 7, spoiled: false)
        var gradients = Self.gradients(layout, step: 8, spoiled: false)
        let counting = Counting()
        var pipeline = try Pipeline(for: parameters) {
            counting
        } driving: {
            SGD(learningRate: 0.1)
        }
        _ = try parameters.withUnsafeTensors { (own) throws(DescentError) in
            try gradients.withUnsafeTensors { (incoming) throws(DescentError) in
                try pipeline.step(unsafeParameters: own, unsafeGradients: incoming)
            }
        }
        #expect(counting.largest.count.withLock { $0 } == 1)
        _ = try pipeline.step(&parameters, gradients: gradients)
        #expect(counting.largest.count.withLock { $0 } == 7)
    }

    @Test func `neighbours are joined that are whole, alike and side by side, up to the length of a block`() throws {
        let layout = try Self.layout()
        let backend = SIMDBackend(threads: 1)
        let blocks = backend.blocks(of: layout)
        let runs = backend.neighbours(among: blocks, of: layout) { _, _ in true }
        #expect(runs.count == blocks.count)
        for (index, run) in runs.enumerated() {
            #expect(run.contains(index))
            let members = run.map { layout[blocks[$0].parameterIndex] }
            #expect(Set(members.map(\.columnCount)).count == 1)
            #expect(members.reduce(0) { $0 + $1.count } <= 4_096 || run.count == 1)
        }
        #expect(runs[0].count == 7)
        #expect(runs[8] == 8..<10)
        #expect(backend.neighbours(among: blocks, of: layout) { _, _ in false }.isEmpty)
        // Without those in between, those around it do not lie side by side.
        let others = blocks.filter { $0.parameterIndex != 3 }
        let apart = backend.neighbours(among: others, of: layout) { _, _ in true }
        #expect(apart[0] == 0..<3)
    }
}
