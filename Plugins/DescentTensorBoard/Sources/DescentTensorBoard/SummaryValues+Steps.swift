import DescentCore

extension SummaryValues {
    /// What the report of an applied step tells.
    init(_ report: StepReport) {
        if let norm = report.gradientNorm { add("gradient/norm", norm) }
        if !report.norms.isEmpty { add("gradient/clipped_fraction", report.clippedFraction) }
        add("step/learning_rate", report.learningRate)
        add("step/loss_scale", report.lossScale)
        add("step/skipped", Float(report.skippedSteps))
        if let ratio = report.updateRatio { add("step/update_ratio", ratio) }
        for norm in report.norms {
            let place = norm.group.map { "\(norm.stage)/\($0)" } ?? norm.stage
            add("\(place)/norm_before", norm.before)
            add("\(place)/norm_after", norm.after)
        }
        for record in report.counts { add("\(record.stage)/count", Float(record.count)) }
        for layer in report.layerNorms { add("layer_norm/\(layer.layer)", layer.norm) }
    }

    /// What is known of a skipped step: how many there have been, for whose sake this one was, and the next loss scale.
    init(skipped reason: SkipReason, _ event: StepEvent) {
        add("step/skipped", Float(event.skippedSteps))
        add("step/loss_scale", event.lossScale)
        if let culprit = reason.parameter ?? reason.stage { add("skipped/\(culprit)", Float(event.skippedSteps)) }
    }
}
