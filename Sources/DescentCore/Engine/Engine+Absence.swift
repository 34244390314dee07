// What becomes of parameters whose gradients are absent.

extension Engine {
    /// Refuses gradients of which some are absent, where that is not allowed or nothing would be left.
    ///
    /// - Parameters:
    ///   - isAbsent: For each parameter, whether its gradient is absent; empty if none is.
    ///   - closesWindow: Whether the window is closed with this micro-batch.
    ///   - hasOutput: Whether what becomes of a gradient is written where it was.
    /// - Throws: ``DescentError`` with code `missingParameter` that names one of them.
    func requirePresent(_ isAbsent: [Bool], closesWindow: Bool, hasOutput: Bool) throws(DescentError) {
        guard !isAbsent.isEmpty else { return }
        let concerned = layout.indices.filter { chain.isActive[$0] && layout[$0].count > 0 }
        // Frozen parameters need none, unless other processes wait for it.
        let lacking = isAbsent.indices.first { isAbsent[$0] && (chain.isActive[$0] || exchange != nil) }
        if configuration.missing == .refuse, let first = lacking {
            let name = layout[first].name
            throw DescentError(
                .missingParameter, parameter: name,
                "The gradient of \(name.quotedBriefly) is missing. Hand it over, or say in the configuration what is to become "
                    + "of such parameters: missing: .skipParameter or .zero.")
        }
        if let first = concerned.first, concerned.allSatisfy({ isAbsent[$0] }) {
            throw DescentError(
                .missingParameter, parameter: layout[first].name,
                "This micro-batch has no gradient of any parameter that is trained. Leave the step out.")
        }
        guard hasOutput, let accumulation, accumulation.window.included > 0,
            closesWindow || accumulation.window.received + 1 >= accumulation.settings.length
        else { return }
        let wasAbsent = accumulation.window.absent ?? []
        guard let lost = concerned.first(where: { isAbsent[$0] && !wasAbsent.contains($0) }) else { return }
        throw DescentError(
            .missingParameter, parameter: layout[lost].name,
            "The window holds a gradient of \(layout[lost].name.quotedBriefly), and this micro-batch, which closes it, has no "
                + "memory for the result. Hand over zeros for it.")
    }

    /// Refuses to write out a window that has no gradient of a parameter, whose memory would stay as it is.
    func requireGradientsInWindow() throws(DescentError) {
        let isLeftOut = isLeftOutOfWindow
        let lacking = isLeftOut.indices.first { isLeftOut[$0] && chain.isActive[$0] && layout[$0].count > 0 }
        guard let first = lacking else { return }
        throw DescentError(
            .missingParameter, parameter: layout[first].name,
            "No micro-batch of the open window has a gradient of \(layout[first].name.quotedBriefly), so that flush would leave "
                + "in its place what is there. Close such a window with its last micro-batch: closingWindow: true.")
    }

    /// Has parameters take no part in what is done next; empty if all do.
    mutating func leaveOut(_ isLeftOut: [Bool]) {
        guard !isLeftOut.isEmpty || !absence.isLeftOut.isEmpty else { return }
        absence.isLeftOut = isLeftOut
        chain.leaveOut(isLeftOut)
    }

    /// For each parameter, whether it takes no part in the window that is about to be closed; empty if all do.
    var isLeftOutOfWindow: [Bool] {
        guard configuration.missing == .skipParameter else { return [] }
        guard let accumulation else { return absence.isAbsent }
        guard let absent = accumulation.window.absent else { return [] }
        var isLeftOut = [Bool](repeating: false, count: layout.count)
        for parameter in absent { isLeftOut[parameter] = true }
        return isLeftOut
    }

    /// Has followers and averages start, in their first applied step, at parameters that were left out of it.
    ///
    /// - Parameters:
    ///   - tensors: The tensors of the step.
    ///   - late: Those whose first step it is; nil for all.
    func startFollowersOfLeftOut(_ tensors: Tensors, only late: [Int]? = nil) {
        guard let parameters = tensors.parameters, !absence.isLeftOut.isEmpty else { return }
        let work = BlockWork(self, SweepProgram())
        for (parameter, isLeftOut) in absence.isLeftOut.enumerated() where isLeftOut {
            startFollowers(of: parameter, parameters, work, only: late)
        }
    }
}
