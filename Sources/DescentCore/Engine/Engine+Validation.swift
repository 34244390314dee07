// What is refused before a step begins.

extension Engine {
    /// Refuses the arguments of a step, and tells other processes that wait for it.
    func requireValid(
        _ tensors: Tensors, weight: Double, lossScale: Float?, closesWindow: Bool
    ) throws(DescentError) {
        if let gradients = tensors.gradients {
            try layout.requireMatch(of: gradients.layout, as: "gradients")
            try requireNumbers(gradients, as: "gradients")
            try validate(weight: weight, lossScale: lossScale)
            try requirePresent(
                tensors.isAbsent, closesWindow: closesWindow, hasOutput: tensors.output != nil && !tensors.isOutOfPlace)
        }
        if tensors.gradients == nil, tensors.output != nil { try requireGradientsInWindow() }
        try requireParameters(tensors)
    }

    /// Refuses what does not fit, and tells other processes that wait for this one.
    mutating func validate(
        _ tensors: Tensors, weight: Double, lossScale: Float?, closesWindow: Bool
    ) throws(DescentError) {
        do throws(DescentError) {
            try requireValid(tensors, weight: weight, lossScale: lossScale, closesWindow: closesWindow)
        } catch {
            abandon(error, closesWindow: closesWindow)
            throw error
        }
    }

    /// Refuses parameters that do not fit, and a step without them if a stage looks at them.
    func requireParameters(_ tensors: Tensors) throws(DescentError) {
        if tensors.updatedParameters != nil {
            try requireStoredParameters("Parameters cannot be updated into other memory")
        }
        if let parameters = tensors.parameters {
            try layout.requireMatch(of: parameters.layout, as: "parameters")
            try requireNumbers(parameters, as: "parameters")
            if let updated = tensors.updatedParameters { try requireStored(updated, as: parameters) }
            return try requireTrainable(parameters)
        }
        guard let stage = chain.readerOfParameters else { return }
        throw DescentError(
            .missingParameter, stage: stage,
            "\(stage) looks at the parameters, which were not handed over. Give the call `parameters:`, or with external "
                + "memory `unsafeParameters:`; a HostOptimizer lends them in withUnsafeParameters(of:_:).")
    }

    /// Refuses tensors in codes of 8 bits, which mean nothing without scales.
    private func requireNumbers(_ tensors: Backend.Tensors, as role: String) throws(DescentError) {
        guard tensors.elementType.isCoded || tensors.mixedElementTypes?.contains(where: \.isCoded) ?? false,
            let index = elementTypes(of: tensors).firstIndex(where: \.isCoded)
        else { return }
        throw DescentError(
            .elementTypeMismatch, parameter: layout[index].name,
            "The \(role) are stored in \(elementTypes(of: tensors)[index]), which only moments of optimizers can be; use "
                + "float32, bfloat16 or float16.")
    }

    /// Refuses other memory for parameters that does not fit them.
    private func requireStored(_ updated: Backend.Tensors, as parameters: Backend.Tensors) throws(DescentError) {
        try layout.requireMatch(of: updated.layout, as: "updated parameters")
        guard updated.elementType != parameters.elementType || updated.mixedElementTypes != parameters.mixedElementTypes
        else { return }
        let (before, after) = (elementTypes(of: parameters), elementTypes(of: updated))
        guard let index = layout.indices.first(where: { before[$0] != after[$0] }) else { return }
        throw DescentError(
            .elementTypeMismatch, parameter: layout[index].name,
            "The updated \(layout[index].name.quotedBriefly) is to be stored in \(after[index]), and the parameter is "
                + "\(before[index]). Hand over memory of the same type.")
    }

    private func elementTypes(of tensors: Backend.Tensors) -> [ElementType] {
        tensors.mixedElementTypes ?? layout.map { _ in tensors.elementType }
    }

    /// Refuses what needs more of a backend than the present one does.
    func requireStoredParameters(_ what: String) throws(DescentError) {
        guard !sweeps.backend.takesStoredParameters else { return }
        throw DescentError(
            .invalidSetting,
            "\(what) on \(Backend.self), whose takesStoredParameters is false: it takes float32 parameters.")
    }

    /// Refuses parameters of 16 bits that are to be updated, where nothing says how.
    func requireTrainable(_ parameters: Backend.Tensors) throws(DescentError) {
        let isRefused = configuration.lowPrecisionParameters == .refuse && !elements.branches.isEmpty
        guard isRefused || !sweeps.backend.takesStoredParameters else { return }
        var (found, name) = (parameters.elementType, String?.none)
        if let types = parameters.mixedElementTypes, let index = types.firstIndex(where: { $0 != .float32 }) {
            (found, name) = (types[index], layout[index].name)
        }
        guard found != .float32 else { return }
        try requireStoredParameters("Parameters in \(found) cannot be read")
        throw DescentError(
            .elementTypeMismatch, parameter: name,
            "\(name.map { "The parameter \($0.quotedBriefly) is" } ?? "The parameters are") \(found), in which most updates "
                + "are too small to be seen. Say in the configuration how they are trained: lowPrecisionParameters: "
                + ".masterCopies or .stochasticRounding; or train float32 parameters, and have the pipeline keep a copy of "
                + "them (parameterCopy).")
    }

    func validate(weight: Double) throws(DescentError) {
        guard weight.isFinite, weight >= 0 else {
            throw DescentError(
                .invalidWeight, "The micro-batch's weight is \(weight); it has to be a finite number of at least 0.")
        }
        guard let accumulation, accumulation.settings.reduction == .weighted else { return }
        guard weight == 0 || Float(weight).isNormal else {
            throw DescentError(
                .invalidWeight, stage: accumulation.name,
                "\(accumulation.name) multiplies by the micro-batch's weight in float32. It is \(weight), and has to "
                    + "be 0, or lie between \(Float.leastNormalMagnitude) and \(Float.greatestFiniteMagnitude).")
        }
    }

    private func validate(weight: Double, lossScale: Float?) throws(DescentError) {
        try validate(weight: weight)
        guard received == nil else {
            throw DescentError(
                .missingParameter,
                "Some gradients of this micro-batch have been received one by one: receive the others, and step without "
                    + "gradients.")
        }
        guard let lossScale, lossScale != chain.lossScale else { return }
        guard lossScale.isFinite, lossScale > 0 else {
            throw DescentError(
                .lossScaleMismatch,
                "The loss scale of these gradients is said to be \(lossScale); it has to be what the loss was multiplied by, "
                    + "the pipeline's lossScale, which is \(chain.lossScale).")
        }
        let remedy =
            chain.undoesLossScale(from: 0)
            ? "multiply the loss by the pipeline's lossScale, which is \(chain.lossScale)"
            : "no stage undoes it: add Unscale(...) to the chain"
        throw DescentError(
            .lossScaleMismatch, "These gradients were made with a loss scale of \(lossScale); \(remedy).")
    }

    /// Refuses to close a window while gradients arrive, which would be in no step.
    func requireNothingReceived() throws(DescentError) {
        guard let arrived = received?.isReceived else { return }
        throw DescentError(
            .incompleteMicroBatch,
            "\(arrived.count { $0 }) of \(arrived.count) gradients of a micro-batch have arrived one by one. Receive the "
                + "others and step, closing the window; or discard what was received.")
    }

    /// Refuses to go on after too many skipped steps in a row.
    func requireFewSkips(_ reason: SkipReason) throws(DescentError) {
        let skips = counters.consecutiveSkips
        guard let limit = configuration.nonFinite.skipLimit, skips > limit else { return }
        let culprit = divergence.firstNotFinite.map {
            "The last update left \(layout[$0].name.quotedBriefly) NaN or infinite. "
        }
        throw DescentError(
            .tooManySkips, parameter: reason.parameter,
            "\(skips) steps in a row were skipped, the last because \(reason). \(culprit ?? "")The model does not recover by "
                + "itself: go back to a checkpoint, lower the learning rate, or clip.")
    }
}
