import DescentCore

/// What a subject did, step by step.
struct Trace {
    /// Tensors after a step.
    struct Result {
        /// What they are.
        enum Kind: Equatable, CustomStringConvertible {
            case gradient
            case slot(String)
            case parameters

            var description: String {
                switch self {
                case .gradient: "the gradient that leaves the stage"
                case .slot(let name): "the slot \(name)"
                case .parameters: "the parameter"
                }
            }
        }

        let kind: Kind
        let values: [[Float]]
    }

    /// One step.
    struct Step {
        let outcome: StepOutcome
        let results: [Result]
        let state: String
        let names: [String]

        /// The gradient that left the subject; nil for an optimizer.
        var gradient: [[Float]]? { results.first { $0.kind == .gradient }?.values }
        /// How the step ended, in a word.
        var ending: String {
            switch outcome {
            case .accumulated: "accumulated"
            case .applied: "applied"
            case .skipped: "skipped"
            case .diverged: "diverged"
            }
        }
    }

    let steps: [Step]
}

/// How well two traces have to agree.
enum Agreement {
    /// Every bit, reports included; one NaN is as good as another.
    case bits
    /// Every bit of the numbers, whatever reports say.
    case numbers
    /// To a relative error of 1e-4, as sums in another order can give.
    case closely

    /// Whether a number is what it should be, where the largest of its tensor is known.
    func holds(_ found: Float, _ expected: Float, largest: Float) -> Bool {
        if found.bitPattern == expected.bitPattern || found.isNaN && expected.isNaN || found == expected { return true }
        guard self == .closely else { return false }
        return (found - expected).magnitude <= 1e-4 * max(found.magnitude, expected.magnitude, largest)
    }
}

extension Trace {
    /// Where this trace differs from another first, in words; nil where it does not.
    ///
    /// Tensors are compared by name.
    func difference(from expected: Trace, _ agreement: Agreement, _ how: String, _ otherwise: String) -> String? {
        for (index, (step, other)) in zip(steps, expected.steps).enumerated() {
            if let difference = step.difference(from: other, agreement, how, otherwise) {
                return "in step \(index + 1) \(difference)"
            }
        }
        return nil
    }
}

extension Trace.Step {
    /// Where this step differs from another first, in words; nil where it does not.
    func difference(
        from expected: Trace.Step, _ agreement: Agreement, _ how: String, _ otherwise: String
    ) -> String? {
        if ending != expected.ending {
            let reason = (outcome.skipReason ?? expected.outcome.skipReason).map { " (\($0))" } ?? ""
            return "the step is \(ending) \(how), and \(expected.ending) \(otherwise)\(reason)"
        }
        if let difference = differenceInNumbers(from: expected, agreement, how, otherwise) { return difference }
        if agreement == .bits, outcome.details != expected.outcome.details {
            return "the report is \(outcome.details) \(how), and \(expected.outcome.details) \(otherwise)"
        }
        return agreement == .closely ? nil : differenceInState(from: expected, how, otherwise)
    }

    /// Where the states differ, in words; nil where they do not.
    func differenceInState(from expected: Trace.Step, _ how: String, _ otherwise: String) -> String? {
        state == expected.state ? nil : "the state is \(state) \(how), and \(expected.state) \(otherwise)"
    }

    /// Where tensors differ first, in words; nil where they do not.
    func differenceInNumbers(
        from expected: Trace.Step, _ agreement: Agreement, _ how: String, _ otherwise: String
    ) -> String? {
        for (result, other) in zip(results, expected.results) {
            for (position, name) in names.enumerated() {
                guard let otherPosition = expected.names.firstIndex(of: name) else { continue }
                let (found, wanted) = (result.values[position], other.values[otherPosition])
                let largest = wanted.reduce(0) { $1.isFinite ? max($0, $1.magnitude) : $0 }
                for (element, (found, wanted)) in zip(found, wanted).enumerated()
                where !agreement.holds(found, wanted, largest: largest) {
                    return "\(result.kind) holds \(found) at [\(element)] of \"\(name)\" \(how), and \(wanted) "
                        + otherwise
                }
            }
        }
        return nil
    }

    /// The same step without what the parameters are.
    var withoutParameters: Trace.Step {
        Trace.Step(
            outcome: outcome, results: results.filter { $0.kind != .parameters }, state: state, names: names)
    }

    /// The first element of any tensor for which a condition holds, in words.
    func element(where condition: (Float) -> Bool) -> String? {
        for result in results {
            for (name, values) in zip(names, result.values) {
                guard let index = values.firstIndex(where: condition) else { continue }
                return "\(result.kind) holds \(values[index]) at [\(index)] of \"\(name)\""
            }
        }
        return nil
    }
}
