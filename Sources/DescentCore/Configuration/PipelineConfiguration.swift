/// How a pipeline or a chain runs, whatever its stages: a plain value that can be kept, compared and written down.
///
/// ```swift
/// var configuration = PipelineConfiguration()
/// configuration.reporting = .layerNorms
/// var optimizer = try Pipeline(for: parameters, configuration: configuration) { ClipByGlobalNorm(1) } driving: { AdamW() }
/// ```
/// The backend, which owns memory and threads, is handed over beside it.
public struct PipelineConfiguration: Sendable, Hashable {
    /// What happens when a gradient holds NaN or an infinity.
    public var nonFinite: NonFinitePolicy
    /// How to store a second copy of the parameters, written in the sweep that updates them; nil keeps none.
    ///
    /// It is what a model's forward pass reads, for half the memory traffic. A chain alone has no parameters to copy.
    public var parameterCopy: ElementType?
    /// What reports hold beyond statistics that are computed anyway.
    public var reporting: ReportOptions
    /// Whose settings hold for a stage that was changed while training, once training is resumed.
    public var resumedSettings: ResumedSettings
    /// What happens to parameters whose gradients are not handed over in a step.
    public var missing: MissingGradients
    /// What happens to parameters that are stored in 16 bits.
    ///
    /// A chain alone only reads parameters, of any type.
    public var lowPrecisionParameters: LowPrecisionParameters
    /// How processes share the state of the pipeline: each keeps that of some rows of the parameters; nil where this
    /// process keeps all.
    ///
    /// A chain alone shares nothing. It is not part of what is written down: it is of the processes that are running.
    public var sharding: Sharding?

    /// Makes a configuration.
    ///
    /// - Parameters:
    ///   - nonFinite: What happens when a gradient holds NaN or an infinity.
    ///   - parameterCopy: How to store a second copy of the parameters, which each applied step writes in the sweep that
    ///     updates them; nil keeps none.
    ///   - reporting: What reports hold beyond statistics that are computed anyway.
    ///   - resumedSettings: Whose settings hold for a stage that was changed while training, once training is resumed.
    ///   - missing: What happens to parameters whose gradients are not handed over in a step.
    ///   - lowPrecisionParameters: What happens to parameters that are stored in 16 bits.
    ///   - sharding: How processes share the state of the pipeline; nil where this one keeps all.
    public init(
        nonFinite: NonFinitePolicy = .skip, parameterCopy: ElementType? = nil, reporting: ReportOptions = [],
        resumedSettings: ResumedSettings = .saved, missing: MissingGradients = .refuse,
        lowPrecisionParameters: LowPrecisionParameters = .refuse, sharding: Sharding? = nil
    ) {
        self.sharding = sharding
        self.lowPrecisionParameters = lowPrecisionParameters
        self.missing = missing
        self.resumedSettings = resumedSettings
        self.nonFinite = nonFinite
        self.parameterCopy = parameterCopy
        self.reporting = reporting
    }

    /// Refuses settings out of range.
    ///
    /// - Throws: ``DescentError`` with code `invalidSetting`.
    func validate() throws(DescentError) {
        try DescentError.require(
            parameterCopy == nil || lowPrecisionParameters == .refuse, "Pipeline",
            "parameters that may be stored in 16 bits need no copy in 16 bits: set lowPrecisionParameters or parameterCopy."
        )
        try DescentError.require(
            parameterCopy?.isCoded != true, "Pipeline",
            "a copy of the parameters in 8 bits cannot be read without scales: use bfloat16 or float16.")
        guard let limit = nonFinite.skipLimit else { return }
        try DescentError.require(
            limit >= 1, "Pipeline", "the limit of skipped steps is \(limit); it has to be at least 1.")
    }
}

/// Written as what differs from the default: `{"nonFinite": {"skipAtMost": 20}, "reporting": ["layerNorms"]}`.
extension PipelineConfiguration: Codable {
    private enum CodingKeys: String, CodingKey {
        case nonFinite, parameterCopy, reporting, resumedSettings, missing, lowPrecisionParameters
    }

    /// Reads the settings that are there; others are what they are by default.
    public init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            nonFinite: settings.value(.nonFinite, or: .skip),
            parameterCopy: settings.decodeIfPresent(ElementType.self, forKey: .parameterCopy),
            reporting: settings.value(.reporting, or: []),
            resumedSettings: settings.value(.resumedSettings, or: .saved),
            missing: settings.value(.missing, or: .refuse),
            lowPrecisionParameters: settings.value(.lowPrecisionParameters, or: .refuse))
    }

    /// Writes the settings that are not what they are by default.
    public func encode(to encoder: any Encoder) throws {
        var settings = encoder.container(keyedBy: CodingKeys.self)
        if nonFinite != .skip { try settings.encode(nonFinite, forKey: .nonFinite) }
        try settings.encodeIfPresent(parameterCopy, forKey: .parameterCopy)
        if !reporting.isEmpty { try settings.encode(reporting, forKey: .reporting) }
        if resumedSettings != .saved { try settings.encode(resumedSettings, forKey: .resumedSettings) }
        if missing != .refuse { try settings.encode(missing, forKey: .missing) }
        if lowPrecisionParameters != .refuse {
            try settings.encode(lowPrecisionParameters, forKey: .lowPrecisionParameters)
        }
    }
}
