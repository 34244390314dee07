/// An optimizer that moves parameters along a direction: p = p - learningRate * u.
///
/// It says what u is, and that is all. Stages can stand behind it, which act on u before the parameters move:
/// ```swift
/// struct SignSGD: DirectionalOptimizer {
///     var learningRate: Schedule
///     func makeDirection(_ block: inout some UpdateBlock) {
///         block.transformEach { $0 = $0 == 0 ? 0 : $0 > 0 ? 1 : -1 }
///     }
/// }
/// ```
/// Where nothing stands behind it, the engine calls ``Optimizer/update(_:)``. That is direction and move, one after the
/// other; an optimizer implements it if it has something faster that gives the same.
public protocol DirectionalOptimizer: Optimizer {
    /// Turns a block's gradient into the direction, weight decay included, and brings the slots up to date.
    ///
    /// Called on many threads at once, and in a step as often as there are sweeps: what it writes to slots lasts in the
    /// last of them alone. It does not read the learning rate.
    func makeDirection(_ block: inout some UpdateBlock)
}

extension DirectionalOptimizer {
    public var hasDirection: Bool { true }

    public func turnIntoDirection(_ block: inout some UpdateBlock) { makeDirection(&block) }

    public func update(_ block: inout some UpdateBlock) {
        makeDirection(&block)
        block.moveParameters()
    }
}

extension UpdateBlock {
    /// Moves the parameters against what the gradient has been turned into: p = p - learningRate * u.
    public mutating func moveParameters() {
        let rates = rates
        self.rates.weightDecay = 0
        apply(SGDRule(momentum: 0, dampening: 0, nesterov: false, maximize: false, isFirst: false))
        self.rates = rates
    }
}
