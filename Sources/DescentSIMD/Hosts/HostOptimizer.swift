public import DescentCore

/// Gradients of a host framework, as one list of named tensors in memory.
public protocol HostGradients {
    /// Hands the memory of all gradients to a body, to read and to change.
    mutating func withUnsafeTensors<Result>(
        _ body: ([UnsafeTensor]) throws(DescentError) -> Result
    ) throws(DescentError) -> Result

    /// Makes gradients of the same names and shapes in memory that nothing else refers to, for the result of a chain.
    ///
    /// Arrays that are references, or share buffers with others, need it: what the caller holds is then only read. Nil, the
    /// default, is for values: a copy of theirs is changed in place.
    func makeResults() -> Self?
}

extension HostGradients {
    public func makeResults() -> Self? { nil }
}

extension TensorSet: HostGradients {}

/// Gradients by name, in row-major order.
extension Dictionary: HostGradients where Key == String, Value == [Float] {
    public mutating func withUnsafeTensors<Result>(
        _ body: ([UnsafeTensor]) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        try UnsafeTensor.lending(&self, keys.sorted().map { ($0, \Self[$0]!) }, body)
    }
}

/// An optimizer of a host framework that is handed a model and its gradients.
///
/// The model may be a value or an object. It is `Void` for an optimizer that owns what it trains.
public protocol HostOptimizer {
    /// What it trains.
    associatedtype Model
    /// What it is handed.
    associatedtype Gradients: HostGradients

    /// Updates the model along gradients.
    mutating func update(_ model: inout Model, gradients: Gradients)

    /// Lends the model's parameters to a body, to read; by default none, which is enough unless a stage looks at them.
    func withUnsafeParameters<Result>(
        of model: Model, _ body: ([UnsafeTensor]?) throws(DescentError) -> Result
    ) throws(DescentError) -> Result
}

extension HostOptimizer {
    public func withUnsafeParameters<Result>(
        of model: Model, _ body: ([UnsafeTensor]?) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        try body(nil)
    }
}
