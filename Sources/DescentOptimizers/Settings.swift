import DescentCore

/// Refuses a decay that does not lie in 0..<1.
func requireDecay(_ decay: Float, _ setting: String, of optimizer: String) throws(DescentError) {
    try DescentError.require((0..<1).contains(decay), optimizer, "\(setting) is \(decay); it has to lie in 0..<1.")
}
