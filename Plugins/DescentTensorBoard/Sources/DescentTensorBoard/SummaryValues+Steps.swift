import DescentCore

extension SummaryValues {
    /// What the report of an applied step tells.
    init(_ report: StepReport) {
        if let norm = report.gradientNorm { add("gradient/norm", Float(norm)) }
        if !report.norms.isEmpty { add("gradient/clipped_fraction", report.clippedFraction) }
        add("step/learning_rate", report.learningRate)
        if report.learningRates.count > 1 {
            for rate in report.learningRates { add("step/learning_rate/\(rate.optimizer)", rate.rate) }
        }
        add("step/loss_scale", report.lossScale)
        add("step/skipped", Float(report.skippedSteps))
        if let ratio = report.updateRatio { add("step/update_ratio", ratio) }
        for norm in report.norms {
            let place = norm.group.map { "\(norm.stage)/\($0)" } ?? norm.stage
            add("\(place)/norm_before", Float(norm.before))
            add("\(place)/norm_after", Float(norm.after))
        }
        for record in report.counts { add("\(record.stage)/count", Float(record.count)) }
        for record in report.values {
            let place = record.parameter.map { "/\($0)" } ?? ""
            add("\(record.stage)/\(record.name)\(place)", Float(record.value))
        }
        for layer in report.layerNorms { add("layer_norm/\(layer.layer)", Float(layer.norm)) }
    }

    /// What the report of a step tells that made a parameter NaN or infinite, and which.
    init(_ divergence: Divergence) {
        self.init(divergence.report)
        add("diverged/\(divergence.parameter)", 1)
    }

    /// What is known of a skipped step: how many there have been, for whose sake this one was, and the next loss scale.
    init(skipped reason: SkipReason, _ event: StepEvent) {
        add("step/skipped", Float(event.skippedSteps))
        add("step/loss_scale", event.lossScale)
        if let culprit = reason.parameter ?? reason.stage { add("skipped/\(culprit)", Float(event.skippedSteps)) }
    }
}
