import DescentCore

/// Refuses a threshold or an epsilon out of range; a threshold of infinity measures, and never clips.
func requireThreshold(_ maximum: Float, _ epsilon: Float, of stage: String) throws(DescentError) {
    try DescentError.require(
        maximum > 0, stage, "the maximum norm is \(maximum); it has to be above 0, and infinity clips nothing.")
    try DescentError.require(
        epsilon.isFinite && epsilon >= 0, stage, "epsilon is \(epsilon); it has to be a finite number of at least 0.")
}
