import DescentOptimizers
import Foundation
import Synchronization
import Testing

@testable import DescentCore

/// What is counted, reported and driven in a step, part by part.
@Suite struct StepBookkeepingTests {
    private final class Notes: Sendable { let values = Mutex<[Int]>([]) }

    private func layout(_ names: String...) throws -> ParameterLayout {
        try ParameterLayout(names.map { try ParameterDescription($0, shape: [2]) })
    }

    // MARK: Counters

    @Test func `only what is not finite counts as a skip in a row, and an update ends the row`() throws {
        var counters = StepCounters()
        counters.noteSkip(isNonFinite: true)
        counters.noteSkip(isNonFinite: false)
        counters.noteSkip(isNonFinite: true)
        #expect(counters == StepCounters(appliedSteps: 0, skippedSteps: 3, consecutiveSkips: 2))
        counters.noteUpdate()
        #expect(counters == StepCounters(appliedSteps: 1, skippedSteps: 3, consecutiveSkips: 0))
    }

    @Test func `counters are written as in the first version of the format`() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let text = String(
            decoding: try encoder.encode(StepCounters(appliedSteps: 1, skippedSteps: 2, consecutiveSkips: 3)),
            as: UTF8.self)
        #expect(text == #"{"appliedSteps":1,"nonFiniteInARow":3,"skippedSteps":2}"#)
    }

    @Test(arguments: [(-1, 0, 0), (0, -1, 0), (0, 0, -1), (0, 1, 2), ((1 << 53) + 1, 0, 0)])
    func `counts that no run can have reached are refused`(_ applied: Int, _ skipped: Int, _ inARow: Int) {
        let counters = StepCounters(appliedSteps: applied, skippedSteps: skipped, consecutiveSkips: inARow)
        #expect(throws: DescentError.self) { try counters.requireValid(for: ParameterLayout([])) }
    }

    // MARK: Divergence

    @Test func `a parameter that was not finite before is not blamed on the update`() {
        var check = DivergenceCheck(parameterCount: 2)
        let buffers = StepBuffers(statisticCount: 0, blockCount: 2)
        buffers.flags[0] = [.isNotFinite, .wasNotFinite]
        #expect(check.firstDiverged(buffers, [0..<1, 1..<2], lasts: true) == nil)
        #expect(check.knowsParameters)
        // From then on it is known, without being looked at.
        buffers.flags[0] = .isNotFinite
        buffers.flags[1] = .isNotFinite
        #expect(check.firstDiverged(buffers, [0..<1, 1..<2], lasts: true) == 1)
        buffers.flags[0] = []
        #expect(check.firstDiverged(buffers, [0..<1, 1..<2], lasts: true) == nil)
        buffers.flags[0] = .isNotFinite
        #expect(check.firstDiverged(buffers, [0..<1, 1..<2], lasts: true) == 0)
    }

    @Test func `a chain alone begins each step afresh`() {
        var check = DivergenceCheck(parameterCount: 1)
        let buffers = StepBuffers(statisticCount: 0, blockCount: 1)
        buffers.flags[0] = .isNotFinite
        for _ in 0..<2 { #expect(check.firstDiverged(buffers, [0..<1], lasts: false) == 0) }
        #expect(!check.knowsParameters)
    }

    // MARK: Optimizer

    @Test func `a rate that is not finite is a reason that names its group`() throws {
        let groups = [ParameterGroup.named(prefix: "b", learningRate: .custom("bad") { $0 == 2 ? .nan : 1 })]
        var driver = try OptimizerDriver(
            SGD(learningRate: 0.5, groups: groups), named: "SGD", for: layout("a", "b"))
        #expect(driver.prepare(appliedSteps: 1) == nil)
        #expect(driver.rates.rates.map(\.learningRate) == [0.5, 1])
        let reason = driver.prepare(appliedSteps: 2)
        #expect(reason?.code == .nonFiniteSetting)
        #expect(reason?.stage == "SGD")
        #expect(reason?.description == "the learning rate of SGD, group named b* is nan after 2 applied steps")
        #expect(driver.learningRate(at: 2).rate == 0.5)
    }

    // MARK: Report

    @Test func `parameters with one name up to the last dot are a layer of the report`() throws {
        let layout = try layout("fc1.weight", "fc2.weight", "fc1.bias", "alone")
        var plan = Plan(sources: [], window: Plan.Segment(transforms: 0..<0, isWindow: true))
        plan.statistics = [Plan.Statistic(what: .norm(.l2), position: 0)]
        let blocks = layout.indices.map { BlockExtent(parameterIndex: $0, rows: 0..<1, firstRow: 0) }
        var measurements = Measurements(plan, parameterCount: layout.count, blocks: blocks)
        let buffers = StepBuffers(statisticCount: 1, blockCount: blocks.count)
        for (index, norm) in [3.0, 1, 4, 2].enumerated() { buffers.blockNorms[index] = norm }
        measurements.combine(0, buffers, nil)
        let chain = try PlannedPipeline([], of: layout, isFrozen: [false, false, false, true]).chain
        var reporter = StepReporter(.layerNorms, for: layout)
        reporter.begin(lossScale: 1)
        reporter.noteNorms(0, measurements, chain)
        #expect(reporter.report.layerNorms.map(\.layer) == ["fc1", "fc2"])
        #expect(reporter.report.layerNorms.map(\.norm) == [5, 1])
        #expect(reporter.report.gradientNorm == (30.0).squareRoot())
        reporter.begin(lossScale: 1)
        reporter.noteNorms(nil, measurements, chain)
        #expect(reporter.report.layerNorms.isEmpty)
        #expect(reporter.report.gradientNorm == nil)
    }

    @Test func `histograms are made of one step, or of the next if that did not happen`() throws {
        var reporter = StepReporter([], for: try layout("a"))
        reporter.begin(lossScale: 1)
        #expect(reporter.histogramSink == nil)
        reporter.requestHistograms()
        reporter.begin(lossScale: 1)
        #expect(reporter.histogramSink != nil)
        reporter.restartHistograms()
        #expect(reporter.histogramSink == nil)
        reporter.begin(lossScale: 1)
        var histogram = MagnitudeHistogram()
        histogram.add(1)
        reporter.histogramSink?.add(histogram, of: 0)
        let copy = reporter
        reporter.makeUnique()
        reporter.histogramSink?.add(histogram, of: 0)
        reporter.takeHistograms()
        #expect(reporter.histograms.map(\.count) == [2])
        #expect(copy.histogramSink?.values.map(\.count) == [1])
        reporter.begin(lossScale: 1)
        #expect(reporter.histogramSink == nil)
    }

    @Test func `observers are told in the order in which they were added`() throws {
        var reporter = StepReporter([], for: try layout("a"))
        let notes = Notes()
        for index in 0..<3 { reporter.observers.append { _ in notes.values.withLock { $0.append(index) } } }
        let reason = SkipReason(.vetoed, "some reason")
        let outcome = reporter.tell(.skipped(reason), StepCounters(skippedSteps: 1), lossScale: 1)
        #expect(outcome.skipReason == reason)
        #expect(notes.values.withLock { $0 } == [0, 1, 2])
    }
}
