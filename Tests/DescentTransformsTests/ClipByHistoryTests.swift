import Descent
import Foundation
import TestSupport
import Testing

/// Objects to some steps, counted from 0 by how often it is asked.
private struct Refuse: GradientScaling {
    let refused: Set<Int>
    private var count = 0

    init(_ refused: Set<Int>) { self.refused = refused }

    mutating func prepare(_ step: inout StepPreparation) {
        if refused.contains(count) { step.veto("number \(count) of those refused") }
        count += 1
    }
}

/// Remembers what it is told at the end of each step.
private struct Remember: GradientScaling {
    var state: [Double] = []
    var requirements: [Requirement] { [.norm(.l2)] }
    var order: StageOrder { .trueGradients }

    mutating func prepare(_ step: inout StepPreparation) {}

    mutating func finish(_ result: StepResult) throws(DescentError) { state.append(result.incoming.norm(.l2)) }
}

/// Clips whose threshold comes from the norms of earlier steps.
@Suite struct ClipByHistoryTests {
    let layout: ParameterLayout

    init() throws { layout = try makeLayout([[3, 4], [3]]) }

    /// Gradients of a given norm.
    private func gradients(norm: Double) -> TensorSet {
        var gradients = TensorSet.random(layout, seed: 1)
        let length = gradients.arrays.joined().reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
        for name in layout.map(\.name) {
            gradients[name] = gradients[name].map { Float(Double($0) / length * norm) }
        }
        return gradients
    }

    /// The norms that gradients of the given norms leave the stages with; nil for those that were skipped.
    private func clip(_ norms: [Double], _ stages: [any Stage]) throws -> [Double?] {
        var chain = try Chain(for: layout) { stages }
        return try norms.map { norm in
            var gradients = gradients(norm: norm)
            guard case .applied(let report) = try chain.transform(&gradients) else { return nil }
            let after = gradients.arrays.joined().reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
            #expect(abs(Double(try #require(report.gradientNorm)) - norm) <= 1e-6 * norm)
            #expect(abs(Double(try #require(report.norms.last).after) - after) <= 1e-5 * after)
            return after
        }
    }

    private func expectClose(_ found: [Double?], _ expected: [Double?], _ place: String = "") {
        #expect(found.count == expected.count)
        for (step, (found, expected)) in zip(found, expected).enumerated() {
            guard let found, let expected else {
                #expect(found == expected, "step \(step) \(place)")
                continue
            }
            #expect(abs(found - expected) <= 1e-5 * expected, "step \(step) \(place): \(found), expected \(expected)")
        }
    }

    private func randomNorms(_ count: Int, seed: UInt64) -> [Double] {
        var generator = SeededGenerator(seed: seed)
        return (0..<count).map { _ in ReproducibleMath.exponentialBase2(Double(generator.normal())) }
    }

    // MARK: Percentile

    /// numpy's `percentile(history, p)`, interpolated linearly between neighbours.
    private func percentile(_ history: [Double], _ percentile: Double) -> Double {
        let sorted = history.sorted()
        let position = percentile / 100 * Double(sorted.count - 1)
        let below = min(Int(position), sorted.count - 1)
        let above = min(below + 1, sorted.count - 1)
        return sorted[below] + (sorted[above] - sorted[below]) * (position - Double(below))
    }

    @Test(arguments: [0.5, 10, 37.5, 50, 99, 100] as [Float], [1, 2, 7, 1000])
    func `the norm is clipped to the percentile of the norms seen, this one included`(
        _ percentile: Float, _ length: Int
    ) throws {
        let norms = randomNorms(25, seed: 3)
        var history: [Double] = []
        let expected = norms.map { norm -> Double in
            let maximum = self.percentile(history + [norm], Double(percentile))
            history.append(norm)
            if history.count > length { history.removeFirst() }
            return norm * min(1, maximum / (norm + 1e-6))
        }
        expectClose(try clip(norms, [ClipByPercentile(percentile, historyLength: length)]), expected)
    }

    @Test func `norms that occur twice, and zeros, are ordinary members of the history`() throws {
        let stage = ClipByPercentile(50, historyLength: 3, epsilon: 0)
        expectClose(
            try clip([2, 2, 1, 2, 2, 5, 5], [stage]), [2, 2, 1, 2, 2, 2, 3.5])
        let zeros = try clip([1e-30], [stage])
        #expect(zeros[0].map { $0 < 1e-20 } == true)
        var chain = try Chain(for: layout) { stage }
        var zero = TensorSet(zeros: layout)
        for _ in 0..<4 { #expect(try chain.transform(&zero).isApplied) }
        #expect(zero.arrays.joined().allSatisfy { $0 == 0 })
        // A history of nothing but zeros has no norm to clip to.
        var gradients = gradients(norm: 3)
        let before = gradients.bits
        #expect(try chain.transform(&gradients).isApplied)
        #expect(gradients.bits == before)
    }

    @Test func `the percentile is of what the stage sees, behind other clips`() throws {
        let found = try clip([1, 8, 2], [ClipByGlobalNorm(4, epsilon: 0), ClipByPercentile(100, epsilon: 0)])
        expectClose(found, [1, 4, 2])
        let half = try clip([1, 8, 8, 8], [ClipByGlobalNorm(4, epsilon: 0), ClipByPercentile(50, epsilon: 0)])
        expectClose(half, [1, 2.5, 4, 4])
    }

    @Test func `restricted to some parameters, it remembers their norm alone`() throws {
        var chain = try Chain(for: layout) {
            ClipByPercentile(50, epsilon: 0).only { $0.rank == 1 }
        }
        var clipped: [Float] = []
        for value: Float in [4, 2, 6] {
            var gradients = TensorSet(zeros: layout)
            gradients["layer0.weight"] = [Float](repeating: 100, count: 12)
            gradients["layer0.bias"] = [0, value, 0]
            #expect(try chain.transform(&gradients).isApplied)
            clipped.append(gradients["layer0.bias"][1])
            #expect(gradients["layer0.weight"] == [Float](repeating: 100, count: 12))
        }
        #expect(clipped == [4, 2, 4])
    }

    @Test(arguments: [0, -1, 100.5, .nan] as [Float]) func `a percentile lies above 0 and not above 100`(
        _ percentile: Float
    ) throws {
        for stage in [
            ClipByPercentile(percentile), ClipByPercentile(50, historyLength: 0), ClipByPercentile(50, epsilon: -1),
        ] {
            let error = #expect(throws: DescentError.self) { try Chain(for: layout) { stage } }
            #expect(error?.code == .invalidSetting)
        }
    }

    // MARK: Z-score

    /// ZClip as its authors describe it, in Double.
    private struct PlainZClip {
        let threshold, decay: Double
        let warmup: Int
        var norms: [Double] = []
        var mean = 0.0
        var variance = 0.0

        mutating func clip(_ norm: Double) -> Double {
            if norms.count < warmup {
                norms.append(norm)
                if norms.count == warmup {
                    mean = norms.reduce(0, +) / Double(warmup)
                    variance = norms.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(warmup)
                }
                return norm
            }
            let deviation = variance.squareRoot()
            let z = (norm - mean) / deviation
            let clipped = z > threshold ? mean + threshold * deviation * (threshold / z) : norm
            mean = decay * mean + (1 - decay) * clipped
            variance = decay * variance + (1 - decay) * (clipped - mean) * (clipped - mean)
            return clipped
        }
    }

    @Test func `norms that float32 cannot hold are clipped to its largest number, and forgotten like others`() throws {
        let layout = try makeLayout([[1_000]])
        for stage: any GradientTransform in [
            ClipByPercentile(50, historyLength: 2), ClipByZScore(threshold: 1, decay: 0.5, warmup: 1),
        ] {
            var chain = try Chain(for: layout) { stage }
            for (step, element) in [3e38, 3e38, 1, 1, 1, 1].enumerated() as EnumeratedSequence<[Float]> {
                var gradients = TensorSet(zeros: layout)
                gradients["layer0.weight"] = [Float](repeating: element, count: 1_000)
                #expect(try chain.transform(&gradients).isApplied)
                let after = gradients["layer0.weight"][0]
                if step == 1 { #expect(abs(after / 1.076e37 - 1) < 1e-3, "\(stage.name)") }
                if step > 1 { #expect(after.isFinite && after <= 1, "\(stage.name)") }
                if step == 5 { #expect(after > 0.999999, "\(stage.name)") }
            }
        }
    }

    @Test(arguments: [0.5, 1, 2.5] as [Float], [0, 0.5, 0.97] as [Float])
    func `norms that are outliers are clipped, and the rest moves mean and variance`(
        _ threshold: Float, _ decay: Float
    ) throws {
        var norms = randomNorms(30, seed: 5)
        for spike in [9, 10, 21] { norms[spike] *= 50 }
        var plain = PlainZClip(threshold: Double(threshold), decay: Double(decay), warmup: 4)
        let expected = norms.map { plain.clip($0) }
        #expect(zip(expected, norms).contains { $0 < 0.5 * $1 })
        expectClose(try clip(norms, [ClipByZScore(threshold: threshold, decay: Double(decay), warmup: 4)]), expected)
    }

    @Test func `norms of the warm-up are never clipped`() throws {
        let norms = randomNorms(25, seed: 6).map { $0 * 1000 } + [1e9]
        let found = try clip(norms, [ClipByZScore()])
        expectClose(Array(found.dropLast()), Array(norms.dropLast()))
        #expect(try #require(found[25]) < 1e5)
    }

    @Test func `a warm-up of zero gradients does not hold back what comes after`() throws {
        var chain = try Chain(for: layout) { ClipByZScore(warmup: 3) }
        var zero = TensorSet(zeros: layout)
        for _ in 0..<3 { #expect(try chain.transform(&zero).isApplied) }
        for norm in [1.0, 2, 1] {
            var gradients = gradients(norm: norm)
            #expect(try chain.transform(&gradients).isApplied)
            #expect(gradients.arrays.joined().contains { $0 != 0 })
        }
    }

    @Test func `thresholds, decays and warm-ups out of range are refused`() throws {
        for stage in [
            ClipByZScore(threshold: 0), ClipByZScore(threshold: Float.nan), ClipByZScore(decay: 1),
            ClipByZScore(decay: -0.1), ClipByZScore(decay: .nan), ClipByZScore(warmup: 0),
        ] {
            let error = #expect(throws: DescentError.self) { try Chain(for: layout) { stage } }
            #expect(error?.code == .invalidSetting)
        }
    }

    // MARK: Skipped steps

    static let stages: [any Stage] = [
        ClipByPercentile(60, historyLength: 4), ClipByPercentile(10), ClipByZScore(warmup: 3),
        ClipByZScore(decay: 0.5, warmup: 6),
    ]

    @Test(arguments: stages.indices) func `skipped steps leave no trace, not finite or refused by a later stage`(
        _ stage: Int
    ) throws {
        let norms = randomNorms(14, seed: 7)
        let expected = try clip(norms, [Self.stages[stage]])
        // In the history's first and later rounds, within and after the warm-up.
        let positions = [0, 1, 2, 5, 7, 12]
        var (spoiled, huge, refused) = (norms, norms, Set<Int>())
        for (count, position) in positions.enumerated() {
            spoiled.insert(count % 2 == 0 ? .nan : .infinity, at: position + count)
            huge.insert(1000, at: position + count)
            refused.insert(position + count)
        }
        for found in [
            try clip(spoiled, [Self.stages[stage]]), try clip(huge, [Self.stages[stage], Refuse(refused)]),
        ] {
            #expect(Set(found.indices.filter { found[$0] == nil }) == refused)
            expectClose(found.filter { $0 != nil }, expected)
        }
    }

    // MARK: In front of an accumulation

    /// What a stage remembers behind an Unscale and in front of an accumulation, in JSON.
    private func remembered(of stage: any GradientTransform, in pipeline: Pipeline) throws -> String {
        let state = try #require(pipeline.state.components.dropFirst().first).state
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return String(decoding: try encoder.encode(state), as: UTF8.self)
    }

    private func makePipeline(
        _ stage: any GradientTransform, steps: Int, resuming state: PipelineState<TensorSet>? = nil
    ) throws -> Pipeline {
        let stages: [any Stage] = [Unscale(.static(1024)), stage, Accumulate(steps: steps)]
        let (parameters, optimizer) = (TensorSet(zeros: layout), SGD(learningRate: 1))
        if let state { return try Pipeline(resuming: state, for: parameters, { stages }, driving: { optimizer }) }
        return try Pipeline(for: parameters, { stages }, driving: { optimizer })
    }

    static let watching: [any GradientTransform] = [ClipByPercentile(50), ClipByZScore(warmup: 4), Remember()]

    @Test(arguments: watching.indices) func `a flush has the norm remembered that a full window has`(
        _ stage: Int
    ) throws {
        let stage = Self.watching[stage]
        var parameters = TensorSet(zeros: layout)
        var (full, flushed) = (try makePipeline(stage, steps: 2), try makePipeline(stage, steps: 4))
        for norm in [3.0, 1, 2] {
            for _ in 0..<2 {
                _ = try full.step(&parameters, gradients: gradients(norm: norm * 1024))
                _ = try flushed.step(&parameters, gradients: gradients(norm: norm * 1024))
            }
            #expect(try flushed.flush(&parameters)?.isApplied == true)
            #expect(try remembered(of: stage, in: flushed) == remembered(of: stage, in: full))
        }
    }

    @Test(arguments: watching.indices.dropLast(), [false, true])
    func `a flush of a window whose norms are not known has nothing remembered`(_ stage: Int, _ resumes: Bool) throws {
        let stage = Self.watching[stage]
        var parameters = TensorSet(zeros: layout)
        var pipeline = try makePipeline(stage, steps: 2)
        for _ in 0..<3 { _ = try pipeline.step(&parameters, gradients: gradients(norm: 1024)) }
        let before = try remembered(of: stage, in: pipeline)
        if resumes {
            pipeline = try makePipeline(stage, steps: 2, resuming: pipeline.state)
        } else {
            try pipeline.change(SGD.self) { $0.learningRate = 0.5 }
        }
        #expect(try pipeline.flush(&parameters)?.isApplied == true)
        #expect(try remembered(of: stage, in: pipeline) == before)
    }
}
