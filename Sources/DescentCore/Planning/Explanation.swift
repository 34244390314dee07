/// The plan in words, as a database explains a query.
struct Explanation {
    let plan: Plan
    let configuration: PipelineConfiguration
    let layout: ParameterLayout
    let chain: ChainElements
    /// The chain's transforms, configured.
    let transforms: [any GradientTransform]
    /// The exchange of gradients, by its name, if one takes place.
    let exchangeName: String?
    let optimizerName: String?
    let slots: SlotTable
    let blockCount: Int
    let threadCount: Int
    /// How many row means are kept from one sweep to the next.
    let rowMeanCount: Int
    let scratchBytes: Int

    var text: String {
        var lines = [
            "\(optimizerName == nil ? "Chain" : "Pipeline"): "
                + (chain.stages.map(\.name) + [optimizerName ?? "gradients out"]).joined(separator: " → ")
        ]
        lines.append(
            "  \(count(layout.count, "parameter")), \(count(layout.elementCount, "element")) in "
                + "\(count(blockCount, "block")), up to \(count(threadCount, "thread"))")
        lines += chain.freezes.map { "  \(chain.stages[$0.position].name) leaves out \(those($0.selection))" }
        lines += transforms.compactMap { transform in
            transform.restriction.map { "  \(transform.name) works on \(those($0))" }
        }
        if let exchangeName { lines.append("  \(exchangeName) exchanges each window before it is measured") }
        lines += sweeps
        let kept = zip(slots.names, slots.types).map { "  \($1.byteCount) B for each element: \($0)" }
        lines.append("Kept between steps\(kept.isEmpty ? ": nothing" : "")")
        lines += kept
        if rowMeanCount > 0 {
            lines.append("Kept within a step")
            lines.append("  4 B for each of \(count(rowMeanCount, "row")): row means")
        }
        lines.append(
            scratchBytes > 0 ? "Scratch: \(scratchBytes) B" : "Scratch: allocated by the first step that needs it")
        return lines.joined(separator: "\n")
    }

    /// The parameters of a selection: how many they are, and the first ones' names.
    private func those(_ selection: ParameterSelection) -> String {
        let names = layout.filter(selection.contains).map(\.name)
        let shown = names.prefix(4).joined(separator: ", ") + (names.count > 4 ? ", ..." : "")
        return "\(names.count) of \(count(layout.count, "parameter")): \(shown)"
    }

    /// What the window's sum is called.
    private var sum: String { slots.ofWindow.map { slots.names[$0] } ?? "sum" }

    // MARK: Sweeps

    private var sweeps: [String] {
        guard let microBatch = plan.microBatch else { return section("A step", windowSweeps(source: "gradient")) }
        let measuring = microBatch.measuring.map { Work(operations: $0.operations, source: "gradient") }
        let adding = Work(operations: microBatch.final + [.accumulate], source: "gradient")
        var window = windowSweeps(source: sum)
        // Until nothing can go wrong any more, the sum is not written, and every sweep reads what it is made of.
        let isWritten = !plan.mayReopenWindow && window.count > 1
        for index in window.indices where index == 0 || !isWritten {
            window[index] = Work(
                operations: adding.operations + window[index].operations, source: "gradient",
                isLast: window[index].isLast, closes: !isWritten)
        }
        return section("A micro-batch that leaves its window open", measuring + [adding])
            + section("A micro-batch that closes its window", measuring + window)
    }

    /// One sweep: what it does to each block and what it reads the gradient from.
    private struct Work {
        var operations: [Plan.Operation]
        var source: String
        /// Whether stages may change their slots for good in it.
        var isLast = false
        /// Whether it closes a window, whose sum is then read and not written.
        var closes = false
    }

    private func windowSweeps(source: String) -> [Work] {
        var sweeps = plan.window.measuring.map { Work(operations: $0.operations, source: source) }
        sweeps.append(Work(operations: plan.window.final + plan.end, source: source, isLast: true))
        if plan.proposal != nil {
            sweeps.append(Work(operations: [.discardGradient] + plan.proposedEnd, source: source, isLast: true))
        }
        return sweeps
    }

    private func section(_ title: String, _ sweeps: [Work]) -> [String] {
        var lines = ["\(title): \(count(sweeps.count, "sweep"))"]
        for (index, sweep) in sweeps.enumerated() {
            let work = sweep.operations.compactMap(describe) + traffic(sweep)
            for (position, line) in work.enumerated() {
                lines.append((position == 0 ? "  sweep \(index + 1)  " : "           ") + line)
            }
        }
        return lines
    }

    // MARK: What is read and written

    private func traffic(_ sweep: Work) -> [String] {
        var reads: [(name: String, bytes: Int)] = []
        var writes: [(name: String, bytes: Int)] = []
        func touch(_ name: String, _ bytes: Int, isWritten: Bool) {
            if !reads.contains(where: { $0.name == name }) { reads.append((name, bytes)) }
            if isWritten, !writes.contains(where: { $0.name == name }) { writes.append((name, bytes)) }
        }
        func touchSlots(_ slots: Range<Int>, isWritten: Bool) {
            for slot in slots {
                touch(self.slots.names[slot], self.slots.types[slot].byteCount, isWritten: isWritten)
            }
        }
        if sweep.operations.first != .discardGradient { touch(sweep.source, 4, isWritten: false) }
        for operation in sweep.operations {
            switch operation {
            case .accumulate: touch(sum, 4, isWritten: !sweep.closes)
            case .transform(let position):
                touchSlots(slots.ofTransforms[position], isWritten: sweep.isLast)
                if transforms[position].requirements.contains(where: \.readsParameters) {
                    touch("parameter", 4, isWritten: false)
                }
            case .measure(let statistic):
                if plan.statistics[statistic].what.readsParameters { touch("parameter", 4, isWritten: false) }
            case .propose, .update:
                touch("parameter", 4, isWritten: operation == .update)
                touchSlots(slots.ofOptimizer, isWritten: true)
            case .copyParameters:
                writes.append(("copy of parameters", configuration.parameterCopy?.byteCount ?? 0))
            case .store: writes.append(("gradient", 4))
            case .scale, .checkGradient, .discardGradient, .rememberParameters, .measureUpdate, .addToHistograms: break
            }
        }
        return [line("reads", reads), line("writes", writes)].compactMap { $0 }
    }

    private func line(_ verb: String, _ parts: [(name: String, bytes: Int)]) -> String? {
        guard !parts.isEmpty else { return nil }
        let total = parts.reduce(0) { $0 + $1.bytes }
        return "\(verb) \(total) B for each element: \(parts.map(\.name).joined(separator: ", "))"
    }

    // MARK: What is done

    private func describe(_ operation: Plan.Operation) -> String? {
        let optimizer = optimizerName ?? "the optimizer"
        switch operation {
        case .scale(let run):
            let names = plan.runs[run].map { transforms[$0].name }.joined(separator: " · ")
            return plan.runs[run].count > 1 ? "\(names), as one factor" : names
        case .transform(let position): return transforms[position].name
        case .measure(let statistic): return measurement(statistic)
        case .accumulate: return chain.window.map { chain.stages[$0.position].name }
        case .propose: return "\(optimizer) proposes an update"
        case .update: return "\(optimizer) updates"
        case .copyParameters: return "copy parameters"
        case .measureUpdate: return "measure the change of parameters for the report"
        case .store: return "store the gradients"
        case .addToHistograms: return "count magnitudes"
        case .rememberParameters, .discardGradient, .checkGradient: return nil
        }
    }

    private func measurement(_ statistic: Int) -> String {
        let readers = plan.sources.indices.filter { plan.sources[$0].contains(statistic) }
        let checks = ([plan.microBatch, plan.window].compactMap { $0 }).flatMap(\.measuring).flatMap(\.checks)
        var uses = readers.map { transforms[$0].name }
        if checks.contains(where: { $0.statistic == statistic && ($0.stage.map { !readers.contains($0) } ?? true) }) {
            uses.append("the check that all is finite")
        }
        if plan.proposal?.update == statistic || plan.proposal?.parameter == statistic {
            uses.append(optimizerName ?? "the optimizer")
        }
        if uses.isEmpty || (statistic == plan.inputNorm && configuration.reporting.contains(.layerNorms)) {
            uses.append("the report")
        }
        return "measure \(plan.statistics[statistic].what) for \(uses.joined(separator: ", "))"
    }

    private func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
}
