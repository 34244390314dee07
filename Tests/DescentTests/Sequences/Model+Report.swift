import Descent

extension Model {
    /// Compares the report of an applied step.
    func check(_ report: StepReport, _ pass: Pass, lossScale: Float) throws(Disagreement) {
        try require(
            report.appliedSteps == appliedSteps && report.skippedSteps == skippedSteps, .report,
            "the report counts \(report.appliedSteps) applied and \(report.skippedSteps) skipped steps")
        try require(
            report.lossScale == lossScale && report.nextLossScale == self.lossScale, .report,
            "the report tells of loss scales \(report.lossScale) and \(report.nextLossScale), expected \(lossScale) and "
                + "\(self.lossScale)")
        let rate = subject.optimizer.map { $0.rate.value(at: appliedSteps - 1) } ?? 0
        try require(
            Approximate(rounding: rate, 0).matches(report.learningRate), .report,
            "the report tells of a learning rate of \(report.learningRate), expected \(rate)")
        if pass.hasUncertainRecords { return }
        let counts = report.counts.map { "\($0.stage) \($0.count)" }
        let expected = pass.counts.map { "\($0.stage) \($0.count)" }
        try require(counts == expected, .report, "the report counts \(counts), expected \(expected)")
        try check(report.norms, pass.norms)
        if let norm = pass.norms.first(where: { $0.group == nil })?.before {
            try require(
                norm.matches(report.gradientNorm.map { Double($0) } ?? .nan), .report,
                "the report's gradientNorm is \(report.gradientNorm ?? .nan), expected \(norm.value)")
        }
    }

    private func check(_ records: [NormRecord], _ norms: [Pass.Norm]) throws(Disagreement) {
        try require(
            records.map { "\($0.stage) \($0.group ?? "all")" } == norms.map { "\($0.stage) \($0.group ?? "all")" },
            .report, "the report has norms of \(records.map(\.stage)), expected \(norms.map(\.stage))")
        for (record, norm) in zip(records, norms) {
            let after = norm.before * norm.factor
            try require(
                norm.before.matches(Double(record.before)) && after.matches(Double(record.after)), .report,
                "\(record.stage) reports \(record.before) and \(record.after), expected \(norm.before.value) and "
                    + "\(after.value)")
            let isNear = abs(norm.factor.value - 1) <= 2 * norm.factor.error + 1e-6
            try require(
                isNear || record.isClipped == (norm.factor.value < 1), .report,
                "\(record.stage) reports isClipped \(record.isClipped)")
        }
    }
}
