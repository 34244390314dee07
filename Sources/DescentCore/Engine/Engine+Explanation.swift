extension Engine {
    /// The plan, for people.
    var explanation: String {
        let transforms = zip(chain.transforms, slotTable.ofTransforms).map { transform, slots in
            Explanation.Figures.Transform(
                name: transform.name, restriction: transform.restriction,
                readsParameters: transform.requirements.contains(where: \.readsParameters), slots: slots)
        }
        let figures = Explanation.Figures(
            stageNames: elements.stages.map(\.name), transforms: transforms,
            freezes: elements.freezes.map { (elements.stages[$0.position].name, $0.selection) },
            windowName: accumulation?.name, sumName: accumulation.map { slotTable.names[$0.slot] },
            exchangeName: exchangesGradients ? exchange?.name : nil, optimizerName: optimizer?.name,
            optimizerSlots: slotTable.ofOptimizer, slotNames: slotTable.names, slotTypes: slotTable.types,
            layout: layout, parameterCopy: configuration.parameterCopy, reportsLayers: reporter.reportsLayers,
            blockCount: sweeps.blocks.count, threadCount: sweeps.backend.threadCount,
            rowMeanCount: sweeps.buffers.rowCount, scratchBytes: sweeps.backend.scratchBytes(sweeps.workspace))
        return Explanation(plan, figures).text
    }
}
