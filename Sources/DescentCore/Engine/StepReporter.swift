/// What is written down of a step, and who is told of it.
struct StepReporter: Sendable {
    /// The report of the present step.
    var report = StepReport()
    /// The layers that the report is to tell of.
    private let layers: ParameterGroups
    /// Who is told how steps end, in the order in which they were added.
    var observers: [@Sendable (StepEvent) -> Void] = []
    /// The histograms that were last asked for.
    private(set) var histograms: [MagnitudeHistogram] = []
    /// Where the present step makes histograms, if they were asked for.
    private(set) var histogramSink: HistogramSink?
    /// Whether histograms have been asked for since the present micro-batch began.
    private var wantsHistograms = false
    private let layout: ParameterLayout

    init(_ reporting: ReportOptions, for layout: ParameterLayout) {
        self.layout = layout
        layers = reporting.contains(.layerNorms) ? ParameterGroups(of: layout, by: \.layer) : ParameterGroups()
    }

    /// Begins the report of a step.
    mutating func begin(lossScale: Float) {
        startHistograms()
        report.records.removeAll()
        report.layerNorms.removeAll(keepingCapacity: true)
        report.lossScale = lossScale
    }

    /// Makes sure that no copy of this reporter sees what this one writes.
    mutating func makeUnique() {
        if !isKnownUniquelyReferenced(&histogramSink) { histogramSink = histogramSink?.copy() }
    }

    // MARK: Norms

    /// Notes norms that were measured anyway, at their true scale.
    ///
    /// - Parameters:
    ///   - statistic: The norms; nil if none were measured.
    ///   - measurements: Where they are.
    ///   - chain: Who knows their scale, and which parameters take part.
    mutating func noteNorms(_ statistic: Int?, _ measurements: Measurements, _ chain: TransformChain) {
        report.measuredNorm = nil
        guard let statistic else { return }
        let scale = chain.trueScale(from: statistic)
        report.measuredNorm = measurements.norm(statistic) * scale
        for layer in 0..<layers.count where layers[layer].contains(where: { chain.takesPart($0) }) {
            let norm = measurements.norm(statistic, over: layers[layer]) * scale
            report.layerNorms.append(LayerNorm(layer: layers.names[layer], norm: norm))
        }
    }

    /// Notes the learning rate of each optimizer.
    mutating func noteRates(_ drivers: [OptimizerDriver], appliedSteps: Int) {
        report.learningRates.removeAll(keepingCapacity: true)
        for driver in drivers { report.learningRates.append(driver.learningRate(at: appliedSteps)) }
    }

    /// Notes how far the parameters have moved.
    mutating func noteChange(update: Double, parameters: Double) {
        let ratio = parameters > 0 ? Float(update / parameters) : 0
        report.updateRatio = ratio.isNaN ? nil : ratio
    }

    // MARK: Histograms

    /// Asks for histograms of the next micro-batch that closes a window.
    mutating func requestHistograms() { wantsHistograms = true }

    /// Has the next micro-batch that closes a window counted, from its first gradient on.
    mutating func startHistograms() {
        guard wantsHistograms else { return }
        histogramSink = HistogramSink(parameterCount: layout.count)
        wantsHistograms = false
    }

    /// Has what was counted of a step that did not happen counted anew in the next.
    mutating func restartHistograms() {
        guard histogramSink != nil else { return }
        histogramSink = nil
        wantsHistograms = true
    }

    /// The histograms of the first sweep, if they were asked for; nil if not.
    var countedHistograms: [MagnitudeHistogram]? { histogramSink?.values }

    /// Takes over the histograms of the first sweep, if they were asked for.
    mutating func takeHistograms() {
        if let counted = countedHistograms { takeHistograms(counted) }
    }

    /// Takes over histograms in the place of those of the first sweep.
    mutating func takeHistograms(_ histograms: [MagnitudeHistogram]) {
        self.histograms = histograms
        histogramSink = nil
    }

    // MARK: Observers

    /// Tells observers of an outcome.
    func tell(_ outcome: StepOutcome, _ counters: StepCounters, lossScale: Float) -> StepOutcome {
        guard !observers.isEmpty else { return outcome }
        let event = StepEvent(
            outcome: outcome, appliedSteps: counters.appliedSteps, skippedSteps: counters.skippedSteps,
            lossScale: lossScale)
        for observer in observers { observer(event) }
        return outcome
    }
}
