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

/// The rules of Adam, AdamW and LAMB, checked.
func adamRules(
    _ usual: AdamRule, _ groups: [ParameterGroup], of optimizer: String, in layout: ParameterLayout
) throws(DescentError) -> GroupedRules<AdamRule> {
    try GroupedRules(groups, of: optimizer, in: layout) { settings, owner throws(DescentError) in
        var rule = usual
        rule.beta1 = settings.beta1 ?? usual.beta1
        rule.beta2 = settings.beta2 ?? usual.beta2
        rule.epsilon = settings.epsilon ?? usual.epsilon
        rule.maximize = settings.maximize ?? usual.maximize
        try requireDecay(rule.beta1, "beta1", of: owner)
        try requireDecay(rule.beta2, "beta2", of: owner)
        try requireNotNegative(Double(rule.epsilon), "epsilon", of: owner)
        return rule
    }
}
