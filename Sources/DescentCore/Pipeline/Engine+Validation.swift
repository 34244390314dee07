extension Engine {
    func validate(_ other: ParameterLayout, as role: String) throws(DescentError) {
        try layout.requireMatch(of: other, as: role)
    }

    /// Refuses parameters that are not float32: arithmetic on them is in place.
    func validateElementType(of parameters: Backend.Tensors?) throws(DescentError) {
        guard let parameters, parameters.elementType != .float32 else { return }
        throw DescentError(
            .elementTypeMismatch,
            "The parameters are \(parameters.elementType); they have to be float32. Gradients may have 16 bits.")
    }

    func validate(weight: Double, lossScale: Float?) throws(DescentError) {
        guard weight.isFinite, weight >= 0 else {
            throw DescentError(
                .invalidWeight, "The micro-batch's weight is \(weight); it has to be a finite number of at least 0.")
        }
        if let lossScale, lossScale != self.lossScale {
            let remedy =
                stages.contains { $0 is any LossScaling }
                ? "multiply the loss by the pipeline's lossScale, which is \(self.lossScale)"
                : "no stage undoes it: add Unscale(...) to the chain"
            throw DescentError(
                .lossScaleMismatch, "These gradients were made with a loss scale of \(lossScale); \(remedy).")
        }
    }
}
