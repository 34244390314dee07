import Descent
import TestSupport
import Testing

/// Thresholds that change over time.
@Suite struct ScheduledThresholdTests {
    private let layout: ParameterLayout

    init() throws { layout = try makeLayout([[4, 3], [4]]) }

    static let falling = Schedule.piecewiseConstant(initial: 0.5, boundaries: [1: 0.5, 2: 0.5])

    /// A stage with a schedule, and the same with the numbers that the schedule comes to.
    static let pairs: [(name: String, scheduled: any Stage, plain: @Sendable (Float) -> any Stage)] = [
        ("global norm", ClipByGlobalNorm(falling), { ClipByGlobalNorm($0) }),
        ("norm", ClipByNorm(falling), { ClipByNorm($0) }), ("value", ClipByValue(falling), { ClipByValue($0) }),
        (
            "range", ClipByValue(lower: -0.25, upper: falling), { ClipByValue(-0.25...$0) }
        ),
        ("layers", ClipLayerwise(default: falling), { ClipLayerwise(default: $0) }),
        (
            "a layer", ClipLayerwise(default: nil, layers: ["layer0": falling]),
            { ClipLayerwise(default: nil, layers: ["layer0": $0]) }
        ),
        ("units", ClipAdaptively(factor: falling), { ClipAdaptively(factor: $0) }),
        ("scale", Scale(by: falling), { Scale(by: $0) }),
    ]

    @Test(arguments: pairs.indices) func `a step has the threshold of its number, to the bit`(_ index: Int) throws {
        let (name, scheduled, plain) = Self.pairs[index]
        var (moved, expected) = (TensorSet.random(layout, seed: 1), TensorSet.random(layout, seed: 1))
        var pipeline = try Pipeline(for: moved, { scheduled }, driving: { SGD(learningRate: 0.1) })
        for (step, threshold): (Int, Float) in [0.5, 0.25, 0.125].enumerated() {
            let gradients = TensorSet.random(layout, seed: UInt64(10 + step))
            var other = try Pipeline(for: expected, { plain(threshold) }, driving: { SGD(learningRate: 0.1) })
            #expect(try other.step(&expected, gradients: gradients).isApplied)
            #expect(try pipeline.step(&moved, gradients: gradients).isApplied)
            #expect(moved.bits == expected.bits, "\(name), step \(step)")
        }
    }

    static let ending = Schedule.custom("ends") { $0 == 0 ? 1 : -1 }
    static let failing: [(stage: any Stage, reason: String)] = [
        (ClipByGlobalNorm(ending), "maximum is -1.0 after 1 applied steps; it has to be above 0"),
        (ClipByNorm(ending), "maximum is -1.0 after 1 applied steps"),
        (ClipByValue(ending), "limit is -1.0 after 1 applied steps"),
        (ClipByValue(lower: -0.5, upper: ending), "the range from -0.5 to -1.0 after 1 applied steps"),
        (ClipByValue(lower: .custom("nan") { $0 == 0 ? 0 : .nan }, upper: 1), "lower is nan after 1 applied steps"),
        (ClipLayerwise(default: ending), "default is -1.0 after 1 applied steps"),
        (
            ClipLayerwise(default: nil, layers: ["layer0": ending]),
            "the maximum of layer layer0 is -1.0 after 1 applied steps"
        ),
        (ClipAdaptively(factor: ending), "factor is -1.0 after 1 applied steps"),
        (ClipByZScore(threshold: ending), "threshold is -1.0 after 1 applied steps"),
        (AddNoise(eta: ending, seed: 1), "eta is -1.0 after 1 applied steps"),
    ]

    @Test(arguments: failing.indices) func `one that leaves its range skips the step, and says so`(
        _ index: Int
    ) throws {
        let (stage, expected) = Self.failing[index]
        let gradients = TensorSet.random(layout, seed: 2)
        var parameters = TensorSet.random(layout, seed: 1)
        var pipeline = try Pipeline(for: parameters, { stage }, driving: { AdamW() })
        #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
        let before = parameters.bits
        let reason = try #require(try pipeline.step(&parameters, gradients: gradients).skipReason)
        #expect(reason.code == .vetoed && reason.stage == stage.name)
        #expect(reason.description.contains(expected), "\(reason)")
        #expect(parameters.bits == before && pipeline.appliedSteps == 1)
    }

    static let refused: [any Stage] = [
        ClipByGlobalNorm(.linear(initial: 1, end: 0, transitionSteps: 9)),
        ClipByNorm(.linear(initial: 1, end: -1, transitionSteps: 9)),
        ClipByValue(.cosine(initial: 1, decaySteps: 9)), ClipAdaptively(factor: .cosine(initial: 1, decaySteps: 9)),
        ClipLayerwise(default: .warmupCosine(peak: 1, warmup: 2, total: 4)), ClipByValue(lower: 1, upper: 1),
        ClipByGlobalNorm(1e39), AddNoise(eta: .reduceOnPlateau(initial: 1), seed: 1),
    ]

    @Test(arguments: refused.indices) func `one that is known to leave its range is refused`(_ index: Int) throws {
        let stage = Self.refused[index]
        let error = #expect(throws: DescentError.self) { try Chain(for: layout) { stage } }
        #expect(error?.code == .invalidSetting && error?.stage == stage.name)
    }

    @Test func `names show a number as it was written, and a schedule in words`() {
        let limit: Float = 0.1
        #expect(ClipByGlobalNorm(limit).name == "ClipByGlobalNorm(0.1)")
        #expect(ClipByGlobalNorm(0.1).name == "ClipByGlobalNorm(0.1)")
        #expect(
            ClipByNorm(.linear(initial: 2, end: 1, transitionSteps: 9)).name == "ClipByNorm(2.0 to 1.0 over 9 steps)")
    }
}
