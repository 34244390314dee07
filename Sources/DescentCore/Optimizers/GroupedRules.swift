/// What an optimizer makes of its settings: one rule for all parameters, and one for each set of settings that groups
/// give some of them.
///
/// ```swift
/// mutating func configure(for layout: ParameterLayout) throws(DescentError) {
///     rules = try GroupedRules(groups, of: name, in: layout) { settings, owner throws(DescentError) in
///         Rule(momentum: settings.momentum ?? momentum)
///     }
/// }
/// func update(_ block: inout some UpdateBlock) {
///     let rule = rules[block.parameterIndex]
///     …
/// }
/// ```
public struct GroupedRules<Rule: Sendable>: Sendable {
    /// The rule of parameters that no group gives settings; here, and not in an array, so that it is at hand in every block.
    @usableFromInline var usual: Rule
    @usableFromInline var others: [Rule] = []
    /// For each parameter, which of the others is its own, or -1; empty if there is one rule for all.
    @usableFromInline var indices: [Int] = []

    /// One rule for all parameters.
    public init(_ rule: Rule) { usual = rule }

    /// Makes a rule for each set of settings.
    ///
    /// - Parameters:
    ///   - groups: The groups; where a parameter is in several, each setting is that of the last one that gives it.
    ///   - optimizer: The optimizer's name, for errors.
    ///   - layout: The parameters.
    ///   - makeRule: Checks settings and makes a rule of them; it is told whose settings they are, for errors.
    /// - Throws: What `makeRule` throws.
    public init(
        _ groups: [ParameterGroup], of optimizer: String, in layout: ParameterLayout,
        _ makeRule: (_ settings: GroupSettings, _ owner: String) throws(DescentError) -> Rule
    ) throws(DescentError) {
        usual = try makeRule(GroupSettings(), optimizer)
        let overriding = groups.filter { $0.settings != GroupSettings() }
        guard !overriding.isEmpty else { return }
        var known = [GroupSettings(): -1]
        for parameter in layout {
            var (settings, owner) = (GroupSettings(), optimizer)
            for group in overriding where group.selection.contains(parameter) {
                settings = settings.overridden(by: group.settings)
                owner = "\(optimizer), group \(group.label)"
            }
            if known[settings] == nil {
                known[settings] = others.count
                others.append(try makeRule(settings, owner))
            }
            indices.append(known[settings] ?? -1)
        }
    }

    /// The rule of a parameter.
    @inlinable public subscript(parameter: Int) -> Rule {
        if indices.isEmpty { return usual }
        let index = indices[parameter]
        return index < 0 ? usual : others[index]
    }

    /// Changes every rule, such as at the start of a step.
    public mutating func updateEach(_ body: (inout Rule) -> Void) {
        body(&usual)
        for index in others.indices { body(&others[index]) }
    }
}
