extension Engine {
    func validate(_ other: ParameterLayout, as role: String) throws(DescentError) {
        try layout.requireMatch(of: other, as: role)
    }

    /// Refuses a step without parameters if a stage looks at them.
    func requireParameters(_ tensors: StepTensors) throws(DescentError) {
        guard tensors.parameters == nil else { return }
        for stage in stages where stage.requirements.contains(where: \.readsParameters) {
            throw DescentError(
                .missingParameter, stage: stage.name,
                "\(stage.name) looks at the parameters: hand them over with the gradients.")
        }
    }

    /// Refuses parameters that are not float32, in which all arithmetic is done.
    func requireFloat32(_ parameters: Backend.Tensors) throws(DescentError) {
        guard parameters.elementType != .float32 else { return }
        throw DescentError(
            .elementTypeMismatch,
            "The parameters are \(parameters.elementType). Train float32 parameters, and have the pipeline keep a copy of "
                + "them in \(parameters.elementType).")
    }

    func validate(weight: Double) throws(DescentError) {
        guard weight.isFinite, weight >= 0 else {
            throw DescentError(
                .invalidWeight, "The micro-batch's weight is \(weight); it has to be a finite number of at least 0.")
        }
    }

    /// Refuses to close a window while gradients arrive, which would be in no step.
    func requireNoReception() throws(DescentError) {
        guard let arrived = reception?.isReceived else { return }
        throw DescentError(
            .incompleteMicroBatch,
            "\(arrived.count { $0 }) of \(arrived.count) gradients of a micro-batch have arrived one by one. Receive the "
                + "others and step, closing the window; or discard what was received.")
    }

    func validate(weight: Double, lossScale: Float?) throws(DescentError) {
        try validate(weight: weight)
        guard reception == nil else {
            throw DescentError(
                .missingParameter,
                "Some gradients of this micro-batch have been received one by one: receive the others, and step without "
                    + "gradients.")
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
