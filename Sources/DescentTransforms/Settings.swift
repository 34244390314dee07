import DescentCore

/// Refuses a threshold or an epsilon out of range; a threshold of infinity measures, and never clips.
func requireThreshold(_ maximum: Float, _ epsilon: Float, of stage: String) throws(DescentError) {
    try DescentError.require(
        maximum > 0, stage, "the maximum norm is \(maximum); it has to be above 0, and infinity clips nothing.")
    try DescentError.require(
        epsilon.isFinite && epsilon >= 0, stage, "epsilon is \(epsilon); it has to be a finite number of at least 0.")
}

/// Refuses a condition that holds for no parameter.
func requireMatch(
    _ condition: (ParameterDescription) -> Bool, in layout: ParameterLayout, of stage: String
) throws(DescentError) {
    try DescentError.require(
        layout.isEmpty || layout.contains(where: condition), stage,
        "no parameter is chosen; there are \(layout.firstNames).")
}

extension ParameterLayout {
    /// The names of the first parameters, for messages.
    var firstNames: String { prefix(8).map { $0.name.cut(to: 80) }.joined(separator: ", ") }
}
