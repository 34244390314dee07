import Descent
import DescentDescriptions
import DescentJSON
import TestSupport
import Testing

/// Schedules in documents.
@Suite struct ScheduleDescriptionTests {
    static let schedules: [(text: String, schedule: Schedule)] = [
        ("0.1", 0.1), (#"{"constant": {"value": 0.1}}"#, 0.1),
        (#"{"linear": {"initial": 0.1, "transitionSteps": 9}}"#, .linear(initial: 0.1, transitionSteps: 9)),
        (
            #"{"polynomial": {"initial": 0.1, "end": 0.01, "power": 2, "transitionSteps": 9}}"#,
            .polynomial(initial: 0.1, end: 0.01, power: 2, transitionSteps: 9)
        ),
        (#"{"cosine": {"initial": 0.1, "decaySteps": 9}}"#, .cosine(initial: 0.1, decaySteps: 9)),
        (
            #"{"cosineWithWarmRestarts": {"initial": 0.1, "firstPeriod": 4}}"#,
            .cosineWithWarmRestarts(initial: 0.1, firstPeriod: 4)
        ),
        (
            #"{"warmupCosine": {"peak": 0.1, "warmup": 2, "total": 9}}"#, .warmupCosine(peak: 0.1, warmup: 2, total: 9)
        ),
        (
            #"{"exponential": {"initial": 0.1, "rate": 0.5, "transitionSteps": 3}}"#,
            .exponential(initial: 0.1, rate: 0.5, transitionSteps: 3)
        ),
        (#"{"inverseSquareRoot": {"peak": 0.1, "warmup": 4}}"#, .inverseSquareRoot(peak: 0.1, warmup: 4)),
        (
            #"{"piecewiseConstant": {"initial": 0.1, "boundaries": {"10": 0.5, "2": 0.5}}}"#,
            .piecewiseConstant(initial: 0.1, boundaries: [2: 0.5, 10: 0.5])
        ),
        (
            #"{"stepDecay": {"initial": 0.1, "factor": 0.5, "everySteps": 4}}"#,
            .stepDecay(initial: 0.1, factor: 0.5, everySteps: 4)
        ),
        (#"{"cosineOneCycle": {"peak": 0.1, "transitionSteps": 12}}"#, .cosineOneCycle(peak: 0.1, transitionSteps: 12)),
        (#"{"linearOneCycle": {"peak": 0.1, "transitionSteps": 12}}"#, .linearOneCycle(peak: 0.1, transitionSteps: 12)),
        (
            #"{"joined": {"schedules": [0.1, {"cosine": {"initial": 0.1, "decaySteps": 9}}], "boundaries": [3]}}"#,
            .constant(0.1).then(.cosine(initial: 0.1, decaySteps: 9), at: 3)
        ),
        (
            #"{"warmedUp": {"schedule": {"cosine": {"initial": 0.1, "decaySteps": 9}}, "warmup": 3}}"#,
            .cosine(initial: 0.1, decaySteps: 9).warmedUp(over: 3)
        ),
        (#"{"reduceOnPlateau": {"initial": 0.1}}"#, .reduceOnPlateau(initial: 0.1)),
    ]

    private func description(_ text: String, _ catalog: Catalog = .standard) throws -> PipelineDescription {
        try PipelineDescription(
            parsing: #"{"optimizer": {"optimizer": "SGD", "learningRate": \#(text)}}"#, catalog)
    }

    @Test(arguments: schedules.indices) func `each is read, written with every setting, and read again`(
        _ index: Int
    ) throws {
        let (text, schedule) = Self.schedules[index]
        let read = try description(text)
        let written = try PipelineDescription(stages: [], optimizer: SGD(learningRate: schedule)).text()
        #expect(try read.text() == written)
        let again = try PipelineDescription(parsing: written)
        #expect(try again.text() == written)
        for step in 0..<20 {
            #expect(again.optimizer?.learningRate.value(at: step) == schedule.value(at: step))
        }
    }

    @Test(arguments: [
        (
            #"{"cosin": {"initial": 0.1}}"#, DescentError.Code.unknownSetting,
            #"optimizer.learningRate: unknown schedule "cosin"; did you mean "cosine"?"#
        ),
        (
            #"{"cosine": {"initial": 0.1, "decaySteps": 9, "ending": 1}}"#, .unknownSetting,
            #"unknown setting "ending" at optimizer.learningRate.cosine"#
        ),
        (
            #"{"cosine": {"decaySteps": 9}}"#, .invalidDocument,
            #"missing setting "initial" at optimizer.learningRate.cosine"#
        ),
        ("{}", .invalidDocument, "expected a number, or one schedule under its name, at optimizer.learningRate."),
        (
            #"{"cosine": {}, "linear": {}}"#, .invalidDocument,
            "expected a number, or one schedule under its name, at optimizer.learningRate."
        ),
        (#""fast""#, .invalidDocument, "expected a number"),
        (
            #"{"piecewiseConstant": {"initial": 1, "boundaries": {"late": 0.5}}}"#, .invalidDocument,
            #"expected a number of steps, found "late""#
        ),
        (#"{"joined": {"schedules": [{"linnear": {}}], "boundaries": []}}"#, .unknownSetting, "linnear"),
    ]) func `what is wrong is named with its place`(_ text: String, _ code: DescentError.Code, _ message: String) {
        let error = #expect(throws: DescentError.self) { try description(text) }
        #expect(error?.code == code)
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }

    /// A rule of another package's.
    private struct Sawtooth: ScheduleRule {
        var peak: Double
        var period: Int
        var description: String { "\(peak), falling every \(period) steps" }
        func value(at step: Int) -> Double { peak * Double(period - step % period) / Double(period) }
    }

    @Test func `a rule of one's own is read where the catalog lists it, inside others too`() throws {
        let text = #"{"warmedUp": {"schedule": {"Sawtooth": {"peak": 2, "period": 4}}, "warmup": 2}}"#
        let error = #expect(throws: DescentError.self) { try description(text) }
        #expect(error?.message.contains(#"unknown schedule "Sawtooth""#) == true)
        #expect(error?.message.contains("have to be added to the catalog") == true)
        let catalog = Catalog.standard.adding(Sawtooth.self)
        let read = try description(text, catalog)
        #expect((0...6).map { read.optimizer?.learningRate.value(at: $0) } == [0, 1, 2, 1.5, 1, 0.5, 2])
        #expect(try description(text, catalog).text(catalog) == read.text(catalog))
    }

    @Test func `schedules are read wherever a setting changes over time`() throws {
        let document = #"""
            {"stages": [
                {"stage": "ClipByGlobalNorm", "maximum": {"linear": {"initial": 2, "end": 1, "transitionSteps": 9}}},
                {"stage": "ClipByValue", "lower": {"linear": {"initial": -2, "end": -1, "transitionSteps": 9}}, "upper": 1},
                {"stage": "ClipLayerwise", "default": {"stepDecay": {"initial": 1, "factor": 0.5, "everySteps": 3}}},
                {"stage": "ClipAdaptively", "factor": {"cosine": {"initial": 1, "end": 0.1, "decaySteps": 3}}},
                {"stage": "AddNoise", "eta": {"exponential": {"initial": 1, "rate": 0.5, "transitionSteps": 2}}, "seed": 1}
             ],
             "optimizer": {"optimizer": "AdamW",
                "beta1": {"linear": {"initial": 0.9, "end": 0.95, "transitionSteps": 9}},
                "weightDecay": {"cosine": {"initial": 0.1, "decaySteps": 9}},
                "groups": [{"rank": [0, 1], "weightDecay": {"linear": {"initial": 0, "end": 1, "transitionSteps": 4}}}]}}
            """#
        let text = try PipelineDescription(parsing: document).text()
        #expect(try PipelineDescription(parsing: text).text() == text)
        let parameters = TensorSet(zeros: try makeLayout([[3, 2], [3]]))
        var pipeline = try Pipeline(for: parameters, PipelineDescription(parsing: text))
        var moved = parameters
        for _ in 0..<4 { #expect(try pipeline.step(&moved, gradients: parameters).isApplied) }
    }
}
