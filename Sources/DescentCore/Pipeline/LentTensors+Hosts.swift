// What backends that borrow tensors from hosts need besides the public calls.

extension GradientPipeline {
    /// How the tensors are stored that a host has lent.
    package var lentTypes: LentTypes {
        get { engine.lentTypes }
        set { engine.lentTypes = newValue }
    }

    /// Takes in one micro-batch that may lack gradients; see ``step(_:gradients:weight:lossScale:closingWindow:)``.
    ///
    /// - Parameters:
    ///   - parameters: The parameters, which are only read if they are updated elsewhere.
    ///   - updated: Where updated parameters go; nil for where they are.
    ///   - gradients: The gradients; those that are absent are not read.
    ///   - isAbsent: For each parameter, whether its gradient is absent; empty if none is.
    ///   - weight: The micro-batch's weight.
    ///   - lossScale: What the loss was multiplied by, to have it checked.
    ///   - closingWindow: Whether this is the last micro-batch of a window that ends early.
    /// - Returns: Whether the step was accumulated, applied or skipped.
    /// - Throws: ``DescentError`` that names an absent parameter where the configuration refuses it, and what a step throws.
    package mutating func step(
        _ parameters: Backend.Tensors, into updated: Backend.Tensors?, gradients: Backend.Tensors, isAbsent: [Bool],
        weight: Double, lossScale: Float?, closingWindow: Bool
    ) throws(DescentError) -> StepOutcome {
        // Tensors that are lent are changed where they are.
        var results = updated ?? parameters
        return try engine.gatheringRows(of: &results) { (engine, _) throws(DescentError) in
            try engine.step(
                .init(gradients: gradients, parameters: parameters, updatedParameters: updated, isAbsent: isAbsent),
                weight: weight, lossScale: lossScale, closesWindow: closingWindow)
        }
    }
}

extension GradientChain {
    /// How the tensors are stored that a host has lent.
    package var lentTypes: LentTypes {
        get { engine.lentTypes }
        set { engine.lentTypes = newValue }
    }

    /// Transforms gradients in place, of which some may be absent; see
    /// ``transform(_:parameters:weight:lossScale:closingWindow:)``.
    ///
    /// - Parameters:
    ///   - gradients: The gradients; those that are absent are neither read nor written.
    ///   - isAbsent: For each parameter, whether its gradient is absent; empty if none is.
    ///   - parameters: The parameters, for stages that look at them.
    ///   - weight: The micro-batch's weight.
    ///   - lossScale: What the loss was multiplied by, to have it checked.
    ///   - closingWindow: Whether this is the last micro-batch of a window that ends early.
    /// - Returns: Applied if the optimizer is to follow, otherwise accumulated or skipped.
    /// - Throws: ``DescentError`` that names an absent parameter where the configuration refuses it, or where the window
    ///   holds a gradient of it, and what a step throws.
    package mutating func transform(
        _ gradients: inout Backend.Tensors, isAbsent: [Bool], parameters: Backend.Tensors?, weight: Double,
        lossScale: Float?, closingWindow: Bool
    ) throws(DescentError) -> StepOutcome {
        gradients.makeUnique()
        return try engine.step(
            .init(gradients: gradients, parameters: parameters, output: gradients, isAbsent: isAbsent), weight: weight,
            lossScale: lossScale, closesWindow: closingWindow)
    }

    /// Transforms gradients into other memory, of which some may be absent; see
    /// ``transform(_:into:parameters:weight:lossScale:closingWindow:)``.
    ///
    /// - Parameters:
    ///   - gradients: The gradients; those that are absent are not read.
    ///   - result: Receives the transformed gradients if the outcome is applied.
    ///   - isAbsent: For each parameter, whether its gradient is absent; empty if none is.
    ///   - parameters: The parameters, for stages that look at them.
    ///   - weight: The micro-batch's weight.
    ///   - lossScale: What the loss was multiplied by, to have it checked.
    ///   - closingWindow: Whether this is the last micro-batch of a window that ends early.
    /// - Returns: Applied if the optimizer is to follow, otherwise accumulated or skipped.
    /// - Throws: ``DescentError`` that names an absent parameter where the configuration refuses it, and what a step throws.
    package mutating func transform(
        _ gradients: Backend.Tensors, into result: inout Backend.Tensors, isAbsent: [Bool],
        parameters: Backend.Tensors?, weight: Double, lossScale: Float?, closingWindow: Bool
    ) throws(DescentError) -> StepOutcome {
        try layout.requireMatch(of: result.layout, as: "results")
        result.makeUnique()
        return try engine.step(
            .init(
                gradients: gradients, parameters: parameters, output: result, isOutOfPlace: true, isAbsent: isAbsent),
            weight: weight, lossScale: lossScale, closesWindow: closingWindow)
    }
}
