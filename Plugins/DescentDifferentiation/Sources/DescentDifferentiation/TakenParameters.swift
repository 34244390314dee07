import DescentCore
import DescentSIMD
import _Differentiation

/// The parameters of a model, taken out of it for the length of one update.
///
/// An array that is changed while the model holds it too would be copied first. So the model gives its arrays away, and
/// gets them back: for as long as that, they are empty in the model.
struct TakenParameters<Model: Differentiable> {
    private let bindings: [ParameterBinding<Model>]
    private var arrays: [[Float]] = []
    private var sets: [TensorSet] = []

    /// Lends the memory of a model's parameters to a body that may change it.
    static func lend<Result>(
        _ bindings: [ParameterBinding<Model>], of model: inout Model,
        _ body: (_ tensors: [UnsafeTensor]) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        var parameters = TakenParameters(bindings, from: &model)
        defer { parameters.putBack(into: &model) }
        return try parameters.lendArrays(body)
    }

    /// Takes parameters out of a model.
    init(_ bindings: [ParameterBinding<Model>], from model: inout Model) {
        self.bindings = bindings
        let nothing = TensorSet(zeros: .empty)
        for binding in bindings {
            switch binding.place {
            case .array(let path, _):
                arrays.append([])
                swap(&arrays[arrays.count - 1], &model[keyPath: path])
            case .scalar(let path, _): arrays.append([model[keyPath: path]])
            case .tensors(let path, _):
                sets.append(nothing)
                swap(&sets[sets.count - 1], &model[keyPath: path])
            }
        }
    }

    /// Gives the parameters back to the model that they were taken out of.
    private consuming func putBack(into model: inout Model) {
        var arrays = arrays.makeIterator()
        var sets = sets.makeIterator()
        for binding in bindings {
            switch binding.place {
            case .array(let path, _): if let array = arrays.next() { model[keyPath: path] = array }
            case .scalar(let path, _): if let number = arrays.next()?.first { model[keyPath: path] = number }
            case .tensors(let path, _): if let set = sets.next() { model[keyPath: path] = set }
            }
        }
    }

    private mutating func lendArrays<Result>(
        _ body: (_ tensors: [UnsafeTensor]) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        let names = bindings.compactMap(\.arrayName)
        let plan = LendingPlan(arrays)
        var scratch = plan.makeScratch(arrays)
        defer { for (position, range) in plan.copied { arrays[position] = Array(scratch[range]) } }
        return try scratch.withUnsafeMutableBufferPointer { scratch throws(DescentError) in
            var tensors = plan.copied.map { UnsafeTensor(names[$0.position], scratch.extracting($0.range)) }
            return try arrays.withUnsafeMutableBufferPointer { arrays throws(DescentError) in
                func lend(from index: Int) throws(DescentError) -> Result {
                    guard index < plan.lent.count else { return try sets.lend(with: tensors, body) }
                    let position = plan.lent[index]
                    return try arrays[position].withUnsafeMutableBufferPointer { elements throws(DescentError) in
                        tensors.append(UnsafeTensor(names[position], elements))
                        return try lend(from: index + 1)
                    }
                }
                return try lend(from: 0)
            }
        }
    }
}

extension [TensorSet] {
    /// Lends the memory of all sets, added to that of other tensors, to a body that may change it.
    fileprivate mutating func lend<Result>(
        with others: [UnsafeTensor], _ body: (_ tensors: [UnsafeTensor]) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        try withUnsafeMutableBufferPointer { sets throws(DescentError) in
            func lend(from index: Int, _ tensors: [UnsafeTensor]) throws(DescentError) -> Result {
                guard index < sets.count else { return try body(tensors) }
                return try sets[index].withUnsafeTensors { lent throws(DescentError) in
                    try lend(from: index + 1, tensors + lent)
                }
            }
            return try lend(from: 0, others)
        }
    }
}
