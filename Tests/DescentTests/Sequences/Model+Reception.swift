import Descent

extension Model {
    /// Takes in the gradient of one parameter.
    mutating func receive(
        _ values: [Float], of parameter: Int, _ type: ElementType, weight: Double, _ circumstances: Circumstances
    ) throws(Disagreement) -> Consequence {
        let observation = circumstances.observation
        var refusals: [String] = []
        if let reception {
            if reception.weight != weight { refusals.append("invalidWeight") }
            if reception.values[parameter] != nil { refusals.append("duplicateParameter") }
        }
        let isEmptyTwice = refusals == ["duplicateParameter"] && values.isEmpty
        if !refusals.isEmpty, !(isEmptyTwice && observation.kind == .nothing) {
            return try refuse(refusals, observation)
        }
        if circumstances.fired == .throwInPrepare {
            return try refuse([FaultyStage.errorCode.description], observation)
        }
        try require(observation.kind == .nothing, .outcome, "expected the gradient to be received")
        var reception =
            self.reception ?? Reception(weight: weight, type: type, values: layout.map { _ in nil })
        reception.values[parameter] = values
        if circumstances.fired == .veto { reception.vetoedBy = circumstances.command?.position }
        self.reception = reception
        return Consequence()
    }

    /// Abandons a micro-batch whose gradients have been arriving.
    mutating func discardReceived(_ observation: Observation) throws(Disagreement) -> Consequence {
        try require(observation.kind == .nothing, .outcome, "expected what was received to be discarded")
        reception = nil
        return Consequence()
    }
}
