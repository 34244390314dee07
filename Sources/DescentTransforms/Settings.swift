import DescentCore

/// Refuses a threshold or an epsilon out of range; a threshold of infinity measures, and never clips.
func requireThreshold(
    _ maximum: Schedule, _ epsilon: Float, of stage: String
) throws(DescentError) {
    try maximum.validate("maximum", of: stage, in: .threshold)
    try DescentError.require(
        epsilon.isFinite && epsilon >= 0, stage, "epsilon is \(epsilon); it has to be a finite number of at least 0.")
}
