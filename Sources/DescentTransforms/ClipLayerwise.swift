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
    private var layers: [Layer] = []

    private struct Layer: Sendable {
        let name: String
        /// Nil for the usual one.
        let maximum: Schedule?
        var parameters: [Int]
    }

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

    /// Clips layers; the same as ``init(default:layers:epsilon:groupedBy:)-(Schedule?,[String:Schedule],_,_)``.
    @available(*, deprecated, renamed: "init(default:layers:epsilon:groupedBy:)")
    public init(
        default maximum: Schedule?, _ maxima: [String: Schedule], epsilon: Float = 1e-6,
        groupedBy layer: (@Sendable (ParameterDescription) -> String)? = nil
    ) {
        self.init(default: maximum, layers: maxima, epsilon: epsilon, groupedBy: layer)
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
        layers = []
        var positions: [String: Int] = [:]
        for (index, parameter) in layout.enumerated() {
            let layerName = layer?(parameter) ?? parameter.layer
            if let position = positions[layerName] {
                layers[position].parameters.append(index)
            } else {
                positions[layerName] = layers.count
                layers.append(Layer(name: layerName, maximum: maxima[layerName], parameters: [index]))
            }
        }
        for layer in maxima.keys.sorted() where positions[layer] == nil {
            let known = positions.keys.sorted()
            let hint = layer.nearest(among: known).map { "did you mean \"\($0)\"?" }
            throw DescentError(
                .invalidSetting, stage: name,
                "\(name): there is no layer named \"\(layer)\"; "
                    + (hint ?? "there are \(known.prefix(8).joined(separator: ", "))."))
        }
        if defaultMaximum == nil { layers.removeAll { $0.maximum == nil } }
    }

    public mutating func prepare(_ step: inout StepPreparation) {
        var usual: Float?
        for layer in layers {
            let maximum: Float?
            if let own = layer.maximum {
                maximum = step.value(of: own, "the maximum of layer \(layer.name)", in: .threshold)
            } else {
                // Looked up once for all layers that share it.
                if usual == nil, let defaultMaximum {
                    usual = step.value(of: defaultMaximum, "default", in: .threshold)
                }
                maximum = usual
            }
            guard let maximum else { return }
            if layer.parameters.count == 1 {
                let parameter = layer.parameters[0]
                step.clip(
                    parameter, norm: step.incoming.norm(.l2, of: parameter), to: maximum, epsilon: epsilon,
                    group: layer.name)
            } else {
                step.clip(
                    layer.parameters, norm: step.incoming.norm(.l2, over: layer.parameters), to: maximum,
                    epsilon: epsilon, group: layer.name)
            }
        }
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
