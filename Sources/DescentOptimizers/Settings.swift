import DescentCore

/// Refuses a decay that does not lie in 0..<1.
func requireDecay(_ decay: Double, _ setting: String, of optimizer: String) throws(DescentError) {
    try DescentError.require((0..<1).contains(decay), optimizer, "\(setting) is \(decay); it has to lie in 0..<1.")
}

/// Refuses a setting that is negative, or not finite as the float32 number that it becomes.
func requireNotNegative(_ value: Double, _ setting: String, of optimizer: String) throws(DescentError) {
    try DescentError.require(
        Float(value).isFinite && value >= 0, optimizer,
        "\(setting) is \(value); it has to be a finite number of at least 0.")
}
