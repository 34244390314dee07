import Descent

extension CallSequence: CustomStringConvertible {
    /// The sequence for people, a call a line.
    var description: String {
        var lines = ["seed \(seed)", "  tensors: " + tensors.map(\.description).joined(separator: ", ")]
        if parameters.kind != .ordinary { lines.append("  parameters: \(parameters.kind.rawValue)") }
        if let sharedScale { lines.append("  shared loss scale: \(sharedScale)") }
        for (index, subject) in subjects.enumerated() { lines.append("  pipeline \(index): \(subject)") }
        for (index, call) in calls.enumerated() { lines.append("  \(index + 1). \(call.described(in: self))") }
        return lines.joined(separator: "\n")
    }
}

extension CallSequence.Tensor: CustomStringConvertible {
    var description: String { "\(name) \(shape)\(outputAxis == .last ? " (output last)" : "")" }
}

extension Subject: CustomStringConvertible {
    var description: String {
        let end = optimizer.map { "\($0.kind.rawValue), rate \($0.rate)" } ?? "a chain alone"
        let rest =
            (policy == .skip ? [] : ["\(policy)"]) + (blockLength == 64 ? [] : ["blocks of \(blockLength)"])
            + (threads == 1 ? [] : ["\(threads) threads"]) + (companion.map { ["beside it \($0.rawValue)"] } ?? [])
        return
            ((stages.map(\.description) + [end]).joined(separator: " > ") + (rest.isEmpty ? "" : "; ")
            + rest.joined(separator: ", "))
    }
}

extension StageSpecification: CustomStringConvertible {
    var description: String { text + (prefix.map { ", only of \($0)*" } ?? "") }

    private var text: String {
        switch kind {
        case .scale(let rate): "Scale(by: \(rate))"
        case .accumulate(let steps, let reduction, let nonFinite):
            "Accumulate(\(steps), \(reduction.rawValue), \(nonFinite.rawValue))"
        case .unscale(let setting): "Unscale(\(setting))"
        case .unscaleShared: "Unscale(shared)"
        case .clipByValue(let limit): "ClipByValue(\(limit))"
        case .clipByNorm(let maximum): "ClipByNorm(\(maximum))"
        case .clipByGlobalNorm(let maximum, let norm): "ClipByGlobalNorm(\(maximum), \(norm))"
        case .clipLayerwise(let maximum): "ClipLayerwise(\(maximum))"
        case .clipAdaptively(let factor): "ClipAdaptively(\(factor))"
        case .centralize: "Centralize"
        case .normalize: "Normalize"
        case .mask(let prefix): "Mask(\(prefix)*)"
        case .freeze(let prefix): "Freeze(\(prefix)*)"
        case .zeroNonFinite: "ZeroNonFinite"
        case .faulty(let number, let needsNorm): "Faulty\(number)" + (needsNorm ? " (asks for a norm)" : "")
        case .remembering: "running mean"
        }
    }
}

extension Rate: CustomStringConvertible {
    var description: String {
        switch self {
        case .constant(let value): "\(value)"
        case .exponential(let initial, let rate): "\(initial) * \(rate)^t"
        case .table(let values): "\(values) by step"
        }
    }
}

extension ScaleSetting: CustomStringConvertible {
    var description: String {
        isDynamic
            ? "dynamic from \(initial) in \(minimum)...\(maximum), interval \(growthInterval), hysteresis \(hysteresis)"
            : "static \(initial)"
    }
}

extension Gradients: CustomStringConvertible {
    var description: String {
        (type == .float32 ? "" : "\(type) ") + (kind == .ones ? "ones" : "\(kind.rawValue) numbers of seed \(seed)")
            + (spoiled.map { ", \($0.value) at element \($0.element) of tensor \($0.tensor)" } ?? "")
    }
}

extension Call {
    func described(in sequence: CallSequence) -> String {
        let wrong = fault.map { "; told to \($0.kind.rawValue): faulty stage \($0.stage)" } ?? ""
        return "[\(subject)] " + action.described(in: sequence) + wrong
    }
}

extension Call.Action {
    fileprivate func described(in sequence: CallSequence) -> String {
        switch self {
        case .step(let gradients, let weight, let argument, let closing):
            "step with \(gradients)" + (weight == 1 ? "" : ", weight \(weight)")
                + (argument == .none ? "" : ", the \(argument.rawValue) loss scale")
                + (closing ? ", closing the window" : "")
        case .receive(let parameter, let gradients, let weight):
            "receive \(sequence.tensors[parameter % max(1, sequence.tensors.count)].name): \(gradients)"
                + (weight == 1 ? "" : ", weight \(weight)")
        case .stepReceived(let closing): "step with what was received" + (closing ? ", closing the window" : "")
        case .mistake(let mistake): "mistake: \(mistake.rawValue)"
        case .flush, .discardReceived, .copy, .save, .restore, .resume, .checkpoint, .requestHistograms,
            .updateSharedScale:
            "\(self)"
        }
    }
}
