extension Engine {
    /// Notes the norms that were measured anyway, at their true scale.
    mutating func noteNorms() {
        report.measuredNorm = nil
        guard let column = plan.inputColumn else { return }
        var scale = 1.0
        for stage in plan.columns[column].firstFactor..<stages.count where stages[stage].lossScale != 1 {
            scale *= stageFactors[stage].uniform
        }
        let norms = measured[column].values
        var combiner = Norm.Combiner(.l2)
        for norm in norms { combiner.add(norm) }
        report.measuredNorm = combiner.value * scale
        for layer in layers where layer.parameters.contains(where: { unfrozen?[$0] ?? true }) {
            var combiner = Norm.Combiner(.l2)
            for parameter in layer.parameters { combiner.add(norms[parameter]) }
            report.layerNorms.append(LayerNorm(layer: layer.name, norm: combiner.value * scale))
        }
    }

    /// Notes how far the parameters have moved, if that was asked for.
    mutating func noteChange() {
        guard let change = plan.change else { return }
        func norm(_ column: Int) -> Double {
            combineBlocks(of: column)
            var combiner = Norm.Combiner(.l2)
            for norm in measured[column].values { combiner.add(norm) }
            return combiner.value
        }
        let (update, parameters) = (norm(change.update), norm(change.parameter))
        let ratio = parameters > 0 ? Float(update / parameters) : 0
        report.updateRatio = ratio.isNaN ? nil : ratio
    }

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

    /// Takes over the histograms of the first sweep, if they were asked for.
    mutating func takeHistograms() {
        guard let histogramSink else { return }
        histograms = histogramSink.values
        self.histogramSink = nil
    }

    /// Tells observers of an outcome, in the order in which they were added.
    func tell(_ outcome: StepOutcome) -> StepOutcome {
        guard !observers.isEmpty else { return outcome }
        let event = StepEvent(
            outcome: outcome, appliedSteps: appliedSteps, skippedSteps: skippedSteps, lossScale: lossScale)
        for observer in observers { observer(event) }
        return outcome
    }

    /// Fills the copy of the parameters before the first step.
    mutating func copyParameters(_ parameters: Backend.Tensors) {
        guard parameterCopy != nil else { return }
        run(SweepProgram(end: [.copyParameters]), StepTensors(gradients: parameters, parameters: parameters))
        runFrozen(parameters) { $0.copyParameters() }
    }
}
