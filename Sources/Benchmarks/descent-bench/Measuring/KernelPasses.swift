import Descent

/// The fastest that a chain's step could be with these kernels: bare passes over the buffers of a subject.
///
/// One pass reads the gradient, as its norm needs; one runs the optimizer's kernel, backwards as a pipeline's last sweep
/// does, so that both start on what the first pass left in the cache. Where micro-batches are accumulated, a pass for
/// each of them takes the place of the reading one, as the last can take the norm as well.
///
/// It works on the pipeline's own parameters and slots: a pass writes into memory that the pipeline shares with it for
/// that long. Passes leave other numbers there than steps of the chain would, of about the same magnitude.
struct KernelPasses: Roofline {
    /// What gradients are multiplied by, which a kernel does in any case: about what unscaling and clipping would do.
    private static let factor: Float = 0x1p-20
    private let blocks: [BlockExtent]
    private let workspace: SIMDWorkspace
    private let isAdam: Bool

    /// Makes what passes over a subject's tensors need, with the kernel of AdamW or of SGD with momentum.
    init(for subject: Subject, isAdam: Bool) {
        self.isAdam = isAdam
        blocks = subject.backend.blocks(of: subject.pipeline.layout)
        workspace = subject.backend.makeWorkspace(for: subject.pipeline.layout, blocks: blocks)
    }

    func step(of subject: Subject) -> StepTime {
        let slots = subject.pipeline.slotNames.compactMap { subject.pipeline.slot(named: $0) }
        var time = StepTime()
        guard subject.chain.microBatchCount > 1 else {
            time.add(read(subject), microBatch: 1, of: 1)
            time.add(update(subject, from: subject.gradients, slots, firstSlot: 0), microBatch: 1, of: 1)
            return time
        }
        for microBatch in 1...subject.chain.microBatchCount {
            let duration = accumulate(subject, slots, overwriting: microBatch == 1)
            time.add(duration, microBatch: microBatch, of: subject.chain.microBatchCount)
        }
        time.add(update(subject, from: slots[0], slots, firstSlot: 1), microBatch: 1, of: 1)
        return time
    }

    private func read(_ subject: Subject) -> Duration {
        run(Sweep(gradients: subject.gradients, blocks: blocks), of: subject) { block in _ = block.norm(.l2) }
    }

    private func accumulate(_ subject: Subject, _ slots: [TensorSet], overwriting: Bool) -> Duration {
        run(Sweep(gradients: subject.gradients, slots: slots, blocks: blocks), of: subject) { block in
            block.accumulate(onto: overwriting ? nil : 0, into: 0, factor: 1)
        }
    }

    private func update(
        _ subject: Subject, from gradients: TensorSet, _ slots: [TensorSet], firstSlot: Int
    ) -> Duration {
        let sweep = Sweep(
            gradients: gradients, parameters: subject.float32Parameters, slots: slots, blocks: blocks,
            runsBackwards: true)
        guard isAdam else {
            let optimizer = BenchmarkChain.descent
            let rule = SGDRule(
                momentum: optimizer.momentum.unroundedValue(at: 0), dampening: optimizer.dampening, nesterov: false,
                maximize: false,
                isFirst: false)
            return run(sweep, of: subject) { block in
                block.slotAccess = SlotAccess(first: firstSlot, count: 1)
                block.rates = UpdateRates(learningRate: 0.01)
                block.scale(by: Self.factor)
                block.apply(rule)
            }
        }
        let optimizer = BenchmarkChain.adam
        let rule = AdamRule(
            beta1: optimizer.beta1.unroundedValue(at: 0), beta2: optimizer.beta2.unroundedValue(at: 0),
            epsilon: optimizer.epsilon, amsgrad: false,
            decouplesWeightDecay: true, step: 1_000)
        return run(sweep, of: subject) { block in
            block.slotAccess = SlotAccess(first: firstSlot, count: 2)
            block.rates = UpdateRates(learningRate: 0.001, weightDecay: 0.01)
            block.scale(by: Self.factor)
            block.apply(rule)
        }
    }

    private func run(
        _ sweep: borrowing Sweep<TensorSet>, of subject: Subject,
        _ body: @Sendable (inout SIMDBlock) -> Void
    ) -> Duration {
        let start = ContinuousClock.now
        subject.backend.run(sweep, in: workspace) { block, _ in body(&block) }
        return ContinuousClock.now - start
    }
}
