import Descent
import TestSupport

extension SequenceGenerator {
    /// One call, or several that make a micro-batch.
    mutating func calls(for subjects: [Subject], _ tensors: [CallSequence.Tensor]) -> [Call] {
        let subject = number(0...3)
        switch number(0...29) {
        case 0...9:
            return [call(subject, step())]
        case 10...16 where features.contains(.receiving): return microBatch(subject, tensors)
        case 17...18: return [call(subject, .flush)]
        case 19...21 where features.contains(.copying): return [Call(subject: subject, action: .copy)]
        case 22 where features.contains(.resuming): return [Call(subject: subject, action: .resume)]
        case 23 where features.contains(.resuming): return [Call(subject: subject, action: .save)]
        case 24 where features.contains(.resuming): return [Call(subject: subject, action: .restore)]
        case 25 where uses(.files, oneIn: 8): return [Call(subject: subject, action: .checkpoint)]
        case 26 where features.contains(.histograms): return [Call(subject: subject, action: .requestHistograms)]
        case 27 where features.contains(.mistakes):
            return [Call(subject: subject, action: .mistake(element(Call.Mistake.allCases)))]
        case 28 where subjects.count > 1:
            return [Call(subject: subject, action: .updateSharedScale)]
        case 29 where features.contains(.discarding): return [Call(subject: subject, action: .discardReceived)]
        default: return [call(subject, step())]
        }
    }

    private mutating func call(_ subject: Int, _ action: Call.Action) -> Call {
        var call = Call(subject: subject, action: action)
        if isLucky(oneIn: 6) {
            let kinds = Fault.allCases.filter { features.contains($0.feature) }
            if !kinds.isEmpty { call.fault = (number(0...3), element(kinds)) }
        }
        return call
    }

    private mutating func step() -> Call.Action {
        .step(
            gradients(), weight: weight(), lossScale: isLucky(oneIn: 10) ? element([.right, .wrong]) : .none,
            closingWindow: isLucky(oneIn: 6))
    }

    private mutating func weight() -> Double {
        if uses(.largeWeights, oneIn: 12) { return element([1e-3, 1e15]) }
        return element([1, 1, 2, 0.5, 3, 0])
    }

    private mutating func gradients() -> Gradients {
        var gradients = Gradients(seed: UInt64(number(0...999)))
        switch number(0...11) {
        case 0: gradients.kind = .ones
        case 1: gradients.kind = .zeros
        case 2 where features.contains(.signedZeros): gradients.kind = .signedZeros
        case 3 where features.contains(.extremes): gradients.kind = element([.tiny, .huge, .mixed])
        default: break
        }
        if uses(.halfPrecision, oneIn: 8) { gradients.type = element([.float16, .bfloat16]) }
        if uses(.notFinite, oneIn: 5) {
            gradients.spoiled = (number(0...3), number(0...19), element([.nan, .infinity, -.infinity]))
        }
        return gradients
    }

    /// Gradients that arrive one by one, now and then interrupted, and the step.
    private mutating func microBatch(_ subject: Int, _ tensors: [CallSequence.Tensor]) -> [Call] {
        let (gradients, weight) = (gradients(), weight())
        var calls: [Call] = []
        var order = Array(tensors.indices)
        if !features.contains(.emptyTensorsReceived) || isLucky(oneIn: 2) {
            order.removeAll { tensors[$0].shape.contains(0) }
        }
        for index in order.indices { order.swapAt(index, number(index...order.count - 1)) }
        if isLucky(oneIn: 12), !order.isEmpty { order.append(order[0]) }
        if isLucky(oneIn: 12), !order.isEmpty { order.removeLast() }
        for parameter in order {
            calls.append(call(subject, .receive(parameter: parameter, gradients, weight: weight)))
            if uses(.copying, oneIn: 6) {
                calls.append(Call(subject: subject, action: .copy))
            }
            if isLucky(oneIn: 20), features.contains(.flushWhileReceiving) {
                calls.append(call(subject, .flush))
            }
            if isLucky(oneIn: 40) { calls.append(call(subject, step())) }
            if uses(.discarding, oneIn: 20) { calls.append(Call(subject: subject, action: .discardReceived)) }
        }
        calls.append(call(subject, .stepReceived(closingWindow: isLucky(oneIn: 6))))
        return calls
    }
}

extension Fault {
    fileprivate var feature: Feature {
        switch self {
        case .veto: .veto
        case .throwInPrepare: .throwInPrepare
        case .throwInFinish: .throwInFinish
        }
    }
}
