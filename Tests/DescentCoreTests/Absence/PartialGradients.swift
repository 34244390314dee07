import Descent
import TestSupport

/// How gradients get to a pipeline, of which some may be absent.
enum Arrival: CaseIterable, Sendable {
    case oneByOne, inExternalMemory
}

extension GradientPipeline<SIMDBackend> {
    /// Takes in a micro-batch without the gradients of some parameters.
    mutating func step(
        _ parameters: inout TensorSet, _ gradients: TensorSet, without absent: Set<String>, _ arrival: Arrival,
        weight: Double = 1, closingWindow: Bool = false
    ) throws -> StepOutcome {
        let layout = layout
        switch arrival {
        case .oneByOne:
            for index in layout.indices.reversed() where !absent.contains(layout[index].name) {
                try receive(gradients, of: index, weight: weight)
            }
            return try step(&parameters, closingWindow: closingWindow)
        case .inExternalMemory:
            var gradients = gradients
            return try parameters.withUnsafeTensors { parameters throws(DescentError) in
                try gradients.withUnsafeTensors { gradients throws(DescentError) in
                    try step(
                        unsafeParameters: parameters,
                        unsafeGradients: gradients.filter { !absent.contains($0.name) }, weight: weight,
                        closingWindow: closingWindow)
                }
            }
        }
    }
}

extension GradientChain<SIMDBackend> {
    /// Transforms gradients in external memory, without those of some parameters.
    mutating func transform(_ gradients: inout TensorSet, without absent: Set<String>) throws -> StepOutcome {
        try gradients.withUnsafeTensors { gradients throws(DescentError) in
            try transform(unsafeGradients: gradients.filter { !absent.contains($0.name) })
        }
    }
}

extension TensorSet {
    /// The same with zeros in place of some tensors.
    func zeroing(_ names: Set<String>) -> TensorSet {
        var tensors = self
        for parameter in layout where names.contains(parameter.name) {
            tensors[parameter.name] = [Float](repeating: 0, count: parameter.count)
        }
        return tensors
    }

    /// Those of another layout, which are all among these.
    func only(_ layout: ParameterLayout) -> TensorSet {
        var tensors = TensorSet(zeros: layout)
        for parameter in layout { tensors[parameter.name] = self[parameter.name] }
        return tensors
    }

    /// The bits of one tensor.
    func bits(of name: String) -> [UInt32] { self[name].map(\.bitPattern) }
}
