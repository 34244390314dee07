public import DescentCore

/// Clips each layer by the L2 norm n of all its parameters: g * min(1, maximum / (n + epsilon)).
///
/// Two parameters belong to one layer if their names are the same up to the last dot (`fc1.weight`, `fc1.bias`), or
/// as a closure groups them. Layers without a maximum are left alone.
public struct ClipLayerwise: GradientScaling {
    /// The largest norm of layers that have none of their own; nil leaves them alone.
    public var defaultMaximum: Schedule?
    /// The largest norm of single layers, by name.
    public var maxima: [String: Schedule]
    /// What is added to norms.
    public var epsilon: Float
    /// Names the layer of a parameter; nil where that is its name up to the last dot.
    public let layer: (@Sendable (ParameterDescription) -> String)?
    private var layers = ParameterGroups()
    /// The largest norms of layers that have one of their own, by position.
    private var ownMaxima: [(layer: Int, maximum: Schedule)] = []
    /// The largest norm of each layer in the present step; nil leaves it alone.
    private var presentMaxima: [Float?] = []

    /// Clips layers.
    ///
    /// - Parameters:
    ///   - maximum: The largest norm of layers that have none of their own, above 0, or a schedule of such; infinity
    ///     measures their norms, for reports, and never clips; nil leaves them out of reports too. A schedule that leaves
    ///     this range skips the step.
    ///   - maxima: The largest norm of single layers, by name: `["fc1": 0.5]`; a name that is no layer's is refused.
    ///   - epsilon: What is added to norms, finite and at least 0.
    ///   - layer: Names the layer of a parameter; by default its name up to the last dot.
    public init(
        default maximum: Schedule?, layers maxima: [String: Schedule] = [:], epsilon: Float = 1e-6,
        groupedBy layer: (@Sendable (ParameterDescription) -> String)? = nil
    ) {
        defaultMaximum = maximum
        self.maxima = maxima
        self.epsilon = epsilon
        self.layer = layer
    }

    /// Clips layers; see ``init(default:layers:epsilon:groupedBy:)-(Schedule?,[String:Schedule],_,_)``.
    @_disfavoredOverload public init(
        default maximum: some ScheduleConvertible, layers maxima: [String: Schedule] = [:], epsilon: Float = 1e-6,
        groupedBy layer: (@Sendable (ParameterDescription) -> String)? = nil
    ) {
        self.init(default: maximum.schedule as Schedule?, layers: maxima, epsilon: epsilon, groupedBy: layer)
    }

    /// Clips layers; see ``init(default:layers:epsilon:groupedBy:)-(Schedule?,[String:Schedule],_,_)``.
    @_disfavoredOverload public init(
        default maximum: some ScheduleConvertible, layers maxima: [String: some ScheduleConvertible],
        epsilon: Float = 1e-6, groupedBy layer: (@Sendable (ParameterDescription) -> String)? = nil
    ) {
        self.init(
            default: maximum.schedule as Schedule?, layers: maxima.mapValues(\.schedule) as [String: Schedule],
            epsilon: epsilon, groupedBy: layer)
    }

    /// Clips layers; see ``init(default:layers:epsilon:groupedBy:)-(Schedule?,[String:Schedule],_,_)``.
    @_disfavoredOverload public init(
        default maximum: Schedule?, layers maxima: [String: some ScheduleConvertible], epsilon: Float = 1e-6,
        groupedBy layer: (@Sendable (ParameterDescription) -> String)? = nil
    ) {
        self.init(
            default: maximum, layers: maxima.mapValues(\.schedule) as [String: Schedule], epsilon: epsilon,
            groupedBy: layer)
    }

    public var name: String {
        let settings =
            (defaultMaximum.map { ["default: \($0)"] } ?? []) + maxima.keys.sorted().map { "\($0): \(maxima[$0] ?? 0)" }
        return "ClipLayerwise(\(settings.joined(separator: ", ")))"
    }
    public var order: StageOrder { .trueGradients }
    public var requirements: [Requirement] { [.norm(.l2)] }

    public var canFail: Bool { false }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        if let defaultMaximum { try requireThreshold(defaultMaximum, epsilon, of: name) }
        for layer in maxima.keys.sorted() {
            try requireThreshold(maxima[layer] ?? 1, epsilon, of: "\(name), layer \(layer)")
        }
        layers = ParameterGroups(of: layout, by: layer ?? { $0.layer })
        presentMaxima = [Float?](repeating: nil, count: layers.count)
        ownMaxima = layers.names.enumerated().compactMap { index, name in maxima[name].map { (index, $0) } }
        for layer in maxima.keys.sorted() where !layers.names.contains(layer) {
            let known = layers.names.sorted()
            let hint = layer.nearest(among: known).map { "did you mean \"\($0)\"?" }
            throw DescentError(
                .invalidSetting, stage: name,
                "\(name): there is no layer named \"\(layer)\"; "
                    + (hint ?? "there are \(known.prefix(8).joined(separator: ", "))."))
        }
    }

    public mutating func prepare(_ step: inout StepPreparation) {
        var usual: Float?
        if let defaultMaximum, ownMaxima.count < layers.count {
            usual = step.value(of: defaultMaximum, "default", in: .threshold)
            if usual == nil { return }
        }
        for layer in presentMaxima.indices { presentMaxima[layer] = usual }
        for (layer, maximum) in ownMaxima {
            presentMaxima[layer] = step.value(
                of: maximum, "the maximum of layer \(layers.names[layer])", in: .threshold)
            if presentMaxima[layer] == nil { return }
        }
        step.clip(layers, epsilon: epsilon) { presentMaxima[$0] }
    }
}

extension ClipLayerwise: DescribedStage {
    private enum CodingKeys: CodingKey { case `default`, layers, epsilon }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self(default: nil))
        try self.init(
            default: settings.decodeIfPresent(Schedule.self, forKey: .default),
            layers: settings.value(.layers, or: usual.maxima), epsilon: settings.value(.epsilon, or: usual.epsilon))
    }

    public func encode(to encoder: any Encoder) throws {
        guard layer == nil else {
            throw DescentError(.invalidDocument, stage: name, "layers that a closure makes cannot be written down")
        }
        var settings = encoder.container(keyedBy: CodingKeys.self)
        try settings.encodeIfPresent(defaultMaximum, forKey: .default)
        if !maxima.isEmpty { try settings.encode(maxima, forKey: .layers) }
        try settings.encode(epsilon, forKey: .epsilon)
    }
}
