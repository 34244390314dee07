extension Engine {
    /// The plan, for people.
    var explanation: String {
        Explanation(
            plan: plan, configuration: configuration, layout: layout, chain: elements, transforms: chain.transforms,
            exchangeName: exchangesGradients ? exchange?.name : nil, optimizerName: optimizer?.name, slots: slotTable,
            blockCount: sweeps.blocks.count, threadCount: sweeps.backend.threadCount,
            rowMeanCount: sweeps.buffers.rowCount, scratchBytes: sweeps.backend.scratchBytes(sweeps.workspace)
        ).text
    }
}
