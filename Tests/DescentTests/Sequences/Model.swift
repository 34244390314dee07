import Descent
import TestSupport

/// What a pipeline does, in the plainest way: arrays, whole gradients, one stage after the other.
///
/// It does not round as a pipeline does. So it knows how far apart the two may be, and takes over the pipeline's
/// numbers after each call in which they agreed. Where two reasons speak against a step, or a number is so near the end
/// of Float's range that the order of operations matters, the pipeline may do either, and the model does what it did.
struct Model {
    let subject: Subject
    let layout: ParameterLayout
    let stageNames: [String]
    let frozen: [Bool]

    // What a pipeline remembers.
    var parameters: [[Float]]
    var slots: [String: [[Float]]]
    var appliedSteps = 0
    var skippedSteps = 0
    var skipsInARow = 0
    var window = Window()
    var reception: Reception?
    var ownScale: ModelLossScale?
    var sharedScale: SharedModelLossScale?
    /// How often stages have been told how a step ended.
    var conclusions = 0
    var histograms = Histograms.none

    /// What has been accumulated.
    struct Window {
        var received = 0
        var included = 0
        var weights = 0.0
        /// The sum; meaningful while something is included.
        var sum: [[Float]] = []
        /// Why the first micro-batch that was turned down was.
        var rejection: String?
        /// Whether a micro-batch was not finite.
        var hasOverflowed = false
    }

    /// A micro-batch whose gradients arrive one by one.
    struct Reception {
        var weight: Double
        var type: ElementType
        var values: [[Float]?]
        /// The position of the stage that vetoed the step as the first gradient arrived, if one did.
        var vetoedBy: Int?
    }

    /// What the pipeline's histograms are.
    enum Histograms {
        /// None have been made, or something that cannot be told from outside.
        case none
        case requested
        case made([MagnitudeHistogram?])
    }

    /// A stage's position and what it is told to do wrong.
    typealias Command = (position: Int, fault: Fault)

    init(_ machine: Machine, _ shared: SharedModelLossScale?) {
        let (subject, layout) = (machine.subject, machine.parameters.layout)
        self.subject = subject
        self.layout = layout
        parameters = machine.parameters.arrays
        slots = machine.slots
        stageNames = subject.stages.map { $0.make(nil, FaultSwitch()).name }
        frozen = layout.map { parameter in
            subject.stages.contains {
                if case .freeze(let prefix) = $0.kind { parameter.name.hasPrefix(prefix) } else { false }
            }
        }
        for stage in subject.stages {
            if case .unscale(let setting) = stage.kind { ownScale = ModelLossScale(setting) }
            if case .unscaleShared = stage.kind { sharedScale = shared }
        }
    }

    var lossScale: Float { sharedScale?.scale.scale ?? ownScale?.scale ?? 1 }

    /// The settings of the stage that accumulates.
    var accumulation: (position: Int, steps: Int, reduction: Accumulate.Reduction, drops: Bool)? {
        guard let position = subject.accumulation,
            case .accumulate(let steps, let reduction, let nonFinite) = subject.stages[position].kind
        else { return nil }
        return (position, steps, reduction, nonFinite == .dropMicroBatch)
    }

    /// Whether the window is refused as soon as its sum is not finite.
    var checksWindow: Bool {
        let first = accumulation.map { $0.position + 1 } ?? 0
        return subject.policy != .propagate && !subject.stages[first...].contains(where: \.repairs)
    }

    /// The name of the slot of the window's sum.
    var sumName: String? { accumulation.map { "\(stageNames[$0.position]).sum" } }
}

/// What a call is to have done to numbers; what is nil, or not named, has not changed in a bit.
struct Consequence {
    var parameters: [[Approximate]]?
    var slots: [String: [[Approximate]]] = [:]
    var sum: [[Approximate]]?
    /// What a chain's gradients are to have become; nil if they are to be as they were.
    var transformed: [[Approximate]]?
    /// Whether numbers may be anything: the model cannot follow.
    var isUnknown = false
}

/// What pipeline and model do not agree on.
struct Disagreement: Error, CustomStringConvertible {
    /// What it is about, which shrinking keeps.
    enum Subject: String {
        case outcome, report, counters, lossScale, parameters, slots, window, gradients, histograms, otherPipeline
        case companion, stageState, notFinite, building
    }

    var subject: Subject
    var description: String

    init(_ subject: Subject, _ description: String) {
        self.subject = subject
        self.description = description
    }
}

/// Two readings of one thing that have to agree.
func require(
    _ condition: Bool, _ subject: Disagreement.Subject, _ description: @autoclosure () -> String
) throws(Disagreement) {
    if !condition { throw Disagreement(subject, description()) }
}
