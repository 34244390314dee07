import Descent

extension Model {
    /// Takes in the gradient of one parameter.
    mutating func receive(
        _ values: [Float], of parameter: Int, _ type: ElementType, weight: Double, _ circumstances: Circumstances
    ) throws(Disagreement) -> Consequence {
        let observation = circumstances.observation
        var refusals: [String] = []
        if let receivedGradients {
            if receivedGradients.weight != weight { refusals.append("invalidWeight") }
            if receivedGradients.values[parameter] != nil { refusals.append("duplicateParameter") }
        }
        let isEmptyTwice = refusals == ["duplicateParameter"] && values.isEmpty
        if !refusals.isEmpty, !(isEmptyTwice && observation.kind == .nothing) {
            return try refuse(refusals, observation)
        }
        if circumstances.fired == .throwInPrepare {
            return try refuse([FaultyStage.errorCode.description], observation)
        }
        try require(observation.kind == .nothing, .outcome, "expected the gradient to be received")
        var receivedGradients =
            self.receivedGradients ?? ReceivedGradients(weight: weight, type: type, values: layout.map { _ in nil })
        receivedGradients.values[parameter] = values
        if circumstances.fired == .veto { receivedGradients.vetoedBy = circumstances.command?.position }
        self.receivedGradients = receivedGradients
        return Consequence()
    }

    /// Abandons a micro-batch whose gradients have been arriving.
    mutating func discardReceived(_ observation: Observation) throws(Disagreement) -> Consequence {
        try require(observation.kind == .nothing, .outcome, "expected what was received to be discarded")
        receivedGradients = nil
        return Consequence()
    }
}
