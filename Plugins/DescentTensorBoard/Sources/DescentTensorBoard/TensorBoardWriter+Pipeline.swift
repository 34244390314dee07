public import DescentCore

extension TensorBoardWriter {
    /// Has every step of a pipeline recorded from now on.
    ///
    /// | chart | what |
    /// | --- | --- |
    /// | `gradient/norm`, `gradient/clipped_fraction` | of the report, where norms were taken |
    /// | `step/learning_rate`, `step/loss_scale`, `step/skipped` | of the report; `skipped` counts from the start |
    /// | `step/update_ratio`, `layer_norm/<layer>` | where the pipeline was asked to report them |
    /// | `<stage>/norm_before`, `<stage>/norm_after` | each norm that a stage took; of a layer or parameter, `<stage>/<name>/norm_before` |
    /// | `<stage>/count` | the elements that a stage did something to |
    /// | `skipped/<name>` | the count of skipped steps, at those for which this parameter or stage was the reason |
    ///
    /// The x-axis is the number of applied steps. Micro-batches that leave their window open are not recorded.
    ///
    /// - Parameters:
    ///   - pipeline: The pipeline; a copy of it made later has the same observer.
    ///   - interval: Of how many applied steps one is recorded, at least 1; skipped steps are always.
    public func attach(to pipeline: inout GradientPipeline<some TensorBackend>, every interval: Int = 1) {
        pipeline.observe(observer(every: interval))
    }

    /// What ``attach(to:every:)`` has a pipeline call, for whoever has steps of another kind to observe.
    public func observer(every interval: Int = 1) -> @Sendable (StepEvent) -> Void {
        stopUnless(interval >= 1, "Of every \(interval) steps, one cannot be recorded; say 1 or more.")
        return { event in
            switch event.outcome {
            case .accumulated: break
            case .applied(let report):
                if report.appliedSteps % interval == 0 {
                    self.record(SummaryValues(report), step: report.appliedSteps)
                }
            case .diverged(let divergence):
                self.record(SummaryValues(divergence), step: divergence.report.appliedSteps)
            case .skipped(let reason): self.record(SummaryValues(skipped: reason, event), step: event.appliedSteps)
            }
        }
    }

    /// Records the histograms that a pipeline made last, each as `gradient_log2/<parameter>`; nothing if it made none.
    ///
    /// Call it after the step for which they were requested; gradients are still multiplied by the loss scale in them.
    /// See ``histogram(_:_:step:)`` for what the chart shows.
    public func histograms(of pipeline: GradientPipeline<some TensorBackend>) {
        guard !pipeline.histograms.isEmpty else { return }
        var values = SummaryValues()
        for (parameter, histogram) in zip(pipeline.layout, pipeline.histograms) {
            values.add("gradient_log2/\(parameter.name)", histogram)
        }
        record(values, step: pipeline.appliedSteps)
    }
}
