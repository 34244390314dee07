/// Settings that a group gives its parameters in place of the optimizer's, besides learning rate and weight decay.
///
/// Nil leaves a setting as it is.
public struct GroupSettings: Sendable, Hashable, Codable {
    /// The name of a setting, as optimizers and documents spell it.
    public enum Name: String, Sendable, CaseIterable, CodingKey {
        /// ``GroupSettings/momentum``
        case momentum
        /// ``GroupSettings/dampening``
        case dampening
        /// ``GroupSettings/nesterov``
        case nesterov
        /// ``GroupSettings/maximize``
        case maximize
        /// ``GroupSettings/alpha``
        case alpha
        /// ``GroupSettings/beta1``
        case beta1
        /// ``GroupSettings/beta2``
        case beta2
        /// ``GroupSettings/epsilon``
        case epsilon
        /// ``GroupSettings/learningRateDecay``
        case learningRateDecay
    }

    private typealias CodingKeys = Name

    /// The share of the velocity that remains after a step.
    public var momentum: Double?
    /// The share of the gradient that the velocity does not take up.
    public var dampening: Double?
    /// Whether the update looks ahead along the velocity.
    public var nesterov: Bool?
    /// Whether parameters climb along the gradient.
    public var maximize: Bool?
    /// The decay of a mean of squares.
    public var alpha: Double?
    /// The decay of the first moment.
    public var beta1: Double?
    /// The decay of the second moment.
    public var beta2: Double?
    /// What keeps the denominator from 0.
    public var epsilon: Float?
    /// How fast the step size falls with the number of steps.
    public var learningRateDecay: Float?

    /// Settings that leave everything as it is.
    public init() {}

    /// The settings that are given.
    public var names: [Name] {
        Name.allCases.filter { name in
            switch name {
            case .momentum: momentum != nil
            case .dampening: dampening != nil
            case .nesterov: nesterov != nil
            case .maximize: maximize != nil
            case .alpha: alpha != nil
            case .beta1: beta1 != nil
            case .beta2: beta2 != nil
            case .epsilon: epsilon != nil
            case .learningRateDecay: learningRateDecay != nil
            }
        }
    }

    /// Those of a later group, and these where it gives none.
    func overridden(by later: GroupSettings) -> GroupSettings {
        var settings = GroupSettings()
        settings.momentum = later.momentum ?? momentum
        settings.dampening = later.dampening ?? dampening
        settings.nesterov = later.nesterov ?? nesterov
        settings.maximize = later.maximize ?? maximize
        settings.alpha = later.alpha ?? alpha
        settings.beta1 = later.beta1 ?? beta1
        settings.beta2 = later.beta2 ?? beta2
        settings.epsilon = later.epsilon ?? epsilon
        settings.learningRateDecay = later.learningRateDecay ?? learningRateDecay
        return settings
    }
}
