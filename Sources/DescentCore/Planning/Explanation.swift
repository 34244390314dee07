/// The plan in words, as a database explains a query.
struct Explanation<Backend: TensorBackend> {
    private let engine: Engine<Backend>
    private var plan: Plan { engine.plan }

    init(_ engine: Engine<Backend>) { self.engine = engine }

    var text: String {
        let ending = engine.optimizer?.name ?? "gradients out"
        var lines = ["Pipeline: " + (engine.stageNames + [ending]).joined(separator: " → ")]
        lines.append(
            "  \(count(engine.layout.count, "parameter")), \(count(engine.layout.elementCount, "element")) in "
                + "\(count(engine.blocks.count, "block")), up to \(count(engine.backend.threadCount, "thread"))")
        lines += engine.stages.compactMap(restriction)
        if let exchanging = plan.exchanging {
            lines.append("  \(engine.stageNames[exchanging]) exchanges each window before it is measured")
        }
        if let microBatch = plan.microBatch {
            let measuring = microBatch.measuring.map { Work(operations: $0.operations, source: "gradient") }
            let gathering = Work(operations: microBatch.final + [.accumulate], source: "gradient")
            lines += section("A micro-batch that leaves its window open", measuring + [gathering])
            var window = windowSweeps(source: "accumulator")
            // Until nothing can go wrong any more, the sum is not written, and every sweep reads what it is made of.
            let isWritten = !plan.mayReopenWindow && window.count > 1
            for index in window.indices where index == 0 || !isWritten {
                window[index] = Work(
                    operations: gathering.operations + window[index].operations, source: "gradient",
                    isLast: window[index].isLast, closes: !isWritten)
            }
            lines += section("A micro-batch that closes its window", measuring + window)
        } else {
            lines += section("A step", windowSweeps(source: "gradient"))
        }
        let slots = zip(engine.slotNames, engine.slotTypes).map { "  \($1.byteCount) B for each element: \($0)" }
        lines.append("Kept between steps\(slots.isEmpty ? ": nothing" : "")")
        lines += slots
        if engine.buffers.rowCount > 0 {
            lines.append("Kept from one sweep of a step to the next")
            lines.append(
                "  4 B for each of \(count(engine.buffers.rowCount, "row")): their means, if a stage takes them")
        }
        let scratch = engine.backend.scratchBytes(engine.workspace)
        lines.append(scratch > 0 ? "Scratch: \(scratch) B" : "Scratch: allocated by the first step that needs it")
        return lines.joined(separator: "\n")
    }

    /// Which parameters a stage for some of them works on.
    private func restriction(of stage: any GradientTransform) -> String? {
        guard let selection = (stage as? any Restricted)?.selection else { return nil }
        let names = engine.layout.filter(selection.contains).map(\.name)
        let shown = names.prefix(4).joined(separator: ", ") + (names.count > 4 ? ", ..." : "")
        return "  \(stage.name) works on \(names.count) of \(count(engine.layout.count, "parameter")): \(shown)"
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
        func touchSlots(of owner: Int, count: Int, isWritten: Bool) {
            let first = engine.firstSlots[owner]
            for slot in first..<first + count {
                touch(engine.slotNames[slot], engine.slotTypes[slot].byteCount, isWritten: isWritten)
            }
        }
        if sweep.operations.first != .discardGradient { touch(sweep.source, 4, isWritten: false) }
        for operation in sweep.operations {
            switch operation {
            case .accumulate: touch("accumulator", 4, isWritten: !sweep.closes)
            case .transform(let stage):
                let slots = engine.firstSlots[stage + 1] - engine.firstSlots[stage]
                touchSlots(of: stage, count: slots, isWritten: sweep.isLast)
                if engine.stages[stage].requirements.contains(where: \.readsParameters) {
                    touch("parameter", 4, isWritten: false)
                }
            case .measure(let column):
                if plan.columns[column].what.readsParameters { touch("parameter", 4, isWritten: false) }
            case .propose, .update:
                touch("parameter", 4, isWritten: operation == .update)
                touchSlots(of: engine.stages.count, count: engine.optimizerSlotCount, isWritten: true)
            case .copyParameters:
                writes.append(("copy of parameters", engine.parameterCopy?.elementType.byteCount ?? 0))
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
        let optimizer = engine.optimizer?.name ?? "the optimizer"
        switch operation {
        case .scale(let run):
            let names = plan.runs[run].map { engine.stageNames[$0] }.joined(separator: " · ")
            return plan.runs[run].count > 1 ? "\(names), as one factor" : names
        case .transform(let stage): return engine.stageNames[stage]
        case .measure(let column): return measurement(column)
        case .accumulate: return plan.accumulating.map { engine.stageNames[$0] }
        case .propose: return "\(optimizer) proposes an update"
        case .update: return "\(optimizer) updates"
        case .copyParameters: return "copy parameters"
        case .measureUpdate: return "measure the change of parameters for the report"
        case .store: return "store"
        case .addToHistograms: return "count magnitudes"
        case .rememberParameters, .discardGradient, .checkGradient: return nil
        }
    }

    private func measurement(_ column: Int) -> String {
        let stages = plan.sources.indices.filter { plan.sources[$0].contains(column) }
        let checks = ([plan.microBatch, plan.window].compactMap { $0 }).flatMap(\.measuring).flatMap(\.checks)
        var uses = stages.map { engine.stageNames[$0] }
        if checks.contains(where: { $0.column == column && ($0.stage.map { !stages.contains($0) } ?? true) }) {
            uses.append("the check that all is finite")
        }
        if plan.proposal?.update == column || plan.proposal?.parameter == column {
            uses.append(engine.optimizer?.name ?? "the optimizer")
        }
        if uses.isEmpty || (column == plan.inputColumn && !engine.layers.isEmpty) { uses.append("the report") }
        return "measure \(plan.columns[column].what) for \(uses.joined(separator: ", "))"
    }

    private func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
}

/// A stage that works on some of the parameters.
private protocol Restricted {
    var selection: ParameterSelection { get }
}

extension Only: Restricted {}
