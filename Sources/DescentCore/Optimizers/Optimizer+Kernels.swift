extension Optimizer {
    /// Updates a block by a kernel, where there is one, or else as the optimizer itself does.
    @inlinable func performUpdate(of block: inout some UpdateBlock) {
        if let rule = elementwiseRule(for: block.parameterIndex, block.rates), block.carryOut(rule, moves: true) {
            return
        }
        update(&block)
    }

    /// Turns a block's gradient into the direction by a kernel, where there is one, or else as the optimizer itself does.
    @inlinable func performDirection(of block: inout some UpdateBlock) {
        if let rule = elementwiseRule(for: block.parameterIndex, block.rates), block.carryOut(rule, moves: false) {
            return
        }
        turnIntoDirection(&block)
    }
}
