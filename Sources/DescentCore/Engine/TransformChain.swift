/// The transforms of a pipeline, and the factors that scaling ones have set in the present step.
struct TransformChain: Sendable {
    /// The transforms, in the order in which gradients flow.
    private(set) var transforms: [any GradientTransform]
    /// Their names.
    let names: [String]
    /// The parameters that take part, where a stage has frozen others; nil for all.
    let selection: [Bool]?
    private let layout: ParameterLayout
    /// For each transform, what it multiplies gradients by.
    private var factors: [ScaleFactors]
    /// For each run of consecutive scaling transforms, and in it for each parameter, their product.
    private(set) var runFactors: [Double]
    private let runs: [Range<Int>]
    /// For each transform, the statistics that it is told.
    private let sources: [[Int]]
    /// For each statistic, the first transform whose factor is not in it.
    private let firstFactors: [Int]
    /// Room for the factors of one transform's incoming gradient.
    private var incomingFactors: [Double]

    /// Puts transforms together that are configured.
    init(_ transforms: [any GradientTransform], for layout: ParameterLayout, selection: [Bool]?, _ plan: Plan) {
        self.transforms = transforms
        self.layout = layout
        self.selection = selection
        names = transforms.map(\.name)
        factors = transforms.map { _ in ScaleFactors() }
        runs = plan.runs
        runFactors = [Double](repeating: 1, count: plan.runs.count * layout.count)
        sources = plan.sources
        firstFactors = plan.statistics.map(\.firstFactor)
        incomingFactors = [Double](repeating: 1, count: layout.count)
    }

    /// What the loss is to be multiplied by.
    var lossScale: Float {
        var scale: Float = 1
        for index in transforms.indices { scale *= transforms[index].lossScale }
        return scale
    }

    /// Whether a transform from a position on undoes a loss scale.
    func undoesLossScale(from position: Int) -> Bool {
        transforms.indices.contains { $0 >= position && transforms[$0].order.leaves.contains(.unscaled) }
    }

    /// The first transform that needs the parameters, by its name; nil if none does.
    var readerOfParameters: String? {
        transforms.firstIndex { $0.requirements.contains(where: \.readsParameters) }.map { names[$0] }
    }

    /// Whether one of some transforms needs the parameters.
    func readsParameters(_ some: Range<Int>) -> Bool {
        some.contains { transforms[$0].requirements.contains(where: \.readsParameters) }
    }

    // MARK: A step

    /// Forgets the factors of the last step.
    mutating func resetFactors() {
        for index in factors.indices { factors[index].reset() }
    }

    /// Prepares one transform.
    ///
    /// - Parameters:
    ///   - index: Which one.
    ///   - measured: What has been measured in this step.
    ///   - appliedSteps: The number of steps applied before.
    ///   - report: Gets what the transform records.
    ///   - checksFactors: Whether a factor that is not finite is a reason to skip.
    /// - Returns: Why the step is to be skipped; nil if there is no reason.
    /// - Throws: What the transform throws.
    mutating func prepare(
        _ index: Int, _ measured: [MeasuredStatistic], appliedSteps: Int, _ report: inout StepReport,
        checksFactors: Bool
    ) throws(DescentError) -> SkipReason? {
        multiplyIncomingFactors(of: index)
        var own = ScaleFactors()
        swap(&own, &factors[index])
        // A step that a transform has thrown out of may be tried again.
        own.reset()
        var (norms, counts): ([NormRecord], [CountRecord]) = ([], [])
        swap(&norms, &report.norms)
        swap(&counts, &report.counts)
        var preparation = StepPreparation(
            layout: layout, appliedSteps: appliedSteps, incoming: statistics(of: index, measured), factors: own,
            veto: nil, norms: norms, counts: counts, stage: names[index])
        own = ScaleFactors()
        (norms, counts) = ([], [])
        defer {
            swap(&factors[index], &preparation.factors)
            swap(&report.norms, &preparation.norms)
            swap(&report.counts, &preparation.counts)
        }
        try transforms[index].prepare(&preparation)
        if let veto = preparation.veto {
            return SkipReason(.vetoed, stage: names[index], "\(names[index]): \(veto)")
        }
        guard checksFactors, !preparation.factors.isFinite else { return nil }
        return SkipReason(
            .nonFiniteSetting, stage: names[index],
            "\(names[index]) multiplies by \(preparation.factors.firstNonFinite) at step \(appliedSteps + 1)")
    }

    /// Makes one factor for each parameter of those of consecutive scaling transforms.
    mutating func multiplyRunFactors() {
        for run in runs.indices {
            let start = run * layout.count
            for index in start..<start + layout.count { runFactors[index] = 1 }
            for transform in runs[run] {
                factors[transform].multiply(into: &runFactors, from: start, count: layout.count)
            }
        }
    }

    /// Tells all transforms how the step ended.
    ///
    /// - Returns: What the first of them throws, after the last has been told.
    mutating func finish(
        _ skipReason: SkipReason?, nonFinite: SkipReason?, diverged parameter: String?, _ measured: [MeasuredStatistic]
    ) -> DescentError? {
        var failure: DescentError?
        for index in transforms.indices {
            multiplyIncomingFactors(of: index)
            let result = StepResult(
                skipReason: skipReason, nonFiniteReason: nonFinite, divergedParameter: parameter,
                incoming: statistics(of: index, measured))
            do throws(DescentError) { try transforms[index].finish(result) } catch { failure = failure ?? error }
        }
        return failure
    }

    private func statistics(of index: Int, _ measured: [MeasuredStatistic]) -> GradientStatistics {
        GradientStatistics(
            measured: measured, indices: sources[index], factors: incomingFactors, selection: selection,
            stage: names[index])
    }

    /// Multiplies what scaling transforms before one have done since what it knows was measured.
    private mutating func multiplyIncomingFactors(of index: Int) {
        guard let statistic = sources[index].first else { return }
        for parameter in incomingFactors.indices { incomingFactors[parameter] = 1 }
        for transform in firstFactors[statistic]..<index {
            factors[transform].multiply(into: &incomingFactors, from: 0, count: layout.count)
        }
    }

    // MARK: What factors come to

    /// The largest that gradients of a norm can be once all factors after a statistic are multiplied in.
    func bound(_ norm: Double, from statistic: Int) -> Double {
        var bound = norm
        for transform in firstFactors[statistic]..<transforms.count { bound *= factors[transform].largest }
        return bound
    }

    /// What a norm has to be multiplied by to be that of the gradient at its true scale.
    func trueScale(from statistic: Int) -> Double {
        var scale = 1.0
        for transform in firstFactors[statistic]..<transforms.count where transforms[transform].lossScale != 1 {
            scale *= factors[transform].uniform
        }
        return scale
    }

    /// The name of the transform that multiplies a parameter's gradient most, if one makes it larger.
    func largestFactor(of parameter: Int) -> String? {
        let magnitudes = factors.map { $0.of(parameter).magnitude }
        guard let largest = magnitudes.max(), largest > 1 else { return nil }
        return magnitudes.firstIndex(of: largest).map { names[$0] }
    }
}
