/// The plan in words, as a database explains a query.
struct Explanation {
    let plan: Plan
    let configuration: PipelineConfiguration
    let layout: ParameterLayout
    let elements: PipelineElements
    /// The transforms and the optimizers, configured.
    let stations: [Station]
    /// The exchange with other processes, by its name, if one takes place.
    let exchangeName: String?
    /// Which rows this process works on; nil for all.
    let division: RowDivision?
    /// The optimizer of each branch, by its name.
    let optimizerNames: [String]
    let owners: ParameterOwners
    /// For each parameter, whether a stage has frozen it.
    let isFrozen: [Bool]
    let slots: SlotTable
    let passes: [TensorPassPlace]
    let blockCount: Int
    let threadCount: Int
    /// Of how many rows something is kept from one sweep to the next.
    let keptRowCount: Int
    let scratchBytes: Int

    var text: String {
        var lines = [title]
        lines.append(
            "  \(count(layout.count, "parameter")), \(count(layout.elementCount, "element")) in "
                + "\(count(blockCount, "block")), up to \(count(threadCount, "thread"))")
        lines += chain.freezes.map { "  \(chain.stages[$0.position].name) leaves out \(those($0.selection))" }
        lines += transforms.compactMap { transform in
            transform.restriction.map { "  \(transform.name) works on \(those($0))" }
        }
        if optimizerNames.count > 1 {
            lines += optimizerNames.indices.map { "  \(optimizerNames[$0]) moves \(those(ownedBy: $0))" }
        }
        if let exchangeName { lines.append("  \(exchangeName) \(exchanged)") }
        lines += sweeps
        let kept = slots.names.indices.map(keptSlot)
        lines.append("Kept between steps\(kept.isEmpty ? ": nothing" : "")")
        lines += kept
        var within = passes.flatMap(\.lines)
        if keptRowCount > 0 { within.append("  8 B for each of \(count(keptRowCount, "row")): row means, row factors") }
        if !within.isEmpty { lines += ["Kept within a step"] + within }
        lines += wholeTensors
        lines += rows
        lines.append(
            scratchBytes > 0 ? "Scratch: \(scratchBytes) B" : "Scratch: allocated by the first step that needs it")
        return lines.joined(separator: "\n")
    }

    /// What is exchanged with other processes.
    private var exchanged: String {
        guard let division else { return "exchanges each window before it is measured" }
        let held = layout.indices.reduce(0) { $0 + division.own[$1].count * layout[$1].columnCount }
        return "sums each micro-batch first; this process works on \(count(held, "element"))"
    }

    var chain: ChainElements { elements.chain }

    /// Those in front of the optimizers, then those behind each.
    var transforms: [any GradientTransform] {
        chain.transforms + elements.branches.flatMap { $0.transforms.map(\.value) }
    }

    private var title: String {
        (elements.branches.isEmpty ? "Chain: " : "Pipeline: ") + elements.flow(optimizerNames)
    }

    /// What a slot takes between steps.
    private func keptSlot(_ index: Int) -> String {
        let (bytes, kept) = (slots.types[index].byteCount, slots.layouts[index])
        let shape = slots.shapes[index]
        guard shape != .parameter || kept.elementCount < layout.elementCount else {
            return "  \(bytes) B for each element: \(slots.names[index])"
        }
        let unit = shape == .parameter || shape == .uncoded ? "element" : shape.rawValue
        return
            "  \(bytes) B for each of \(count(kept.elementCount, unit)), \(bytes * kept.elementCount) B: \(slots.names[index])"
    }

    /// The parameters of an optimizer.
    private func those(ownedBy branch: Int) -> String { those { owners.branches[$0] == branch } }

    /// The parameters of a selection: how many they are, and the first ones' names.
    private func those(_ selection: ParameterSelection) -> String { those { selection.contains(layout[$0]) } }

    private func those(_ isChosen: (Int) -> Bool) -> String {
        let names = layout.indices.filter(isChosen).map { layout[$0].name }
        let shown = names.prefix(4).joined(separator: ", ") + (names.count > 4 ? ", ..." : "")
        return "\(names.count) of \(count(layout.count, "parameter")): \(shown)"
    }

    /// What the window's sum is called.
    var sum: String { slots.ofWindow.map { slots.names[$0] } ?? "sum" }

    // MARK: Sweeps

    private var sweeps: [String] {
        guard let microBatch = plan.microBatch else { return section("A step", windowSweeps(source: "gradient")) }
        let measuring = microBatch.measuring.map { Work(operations: $0.operations, source: "gradient") }
        let adding = Work(operations: microBatch.final + [.accumulate], source: "gradient")
        var window = windowSweeps(source: sum)
        // Until nothing can go wrong any more, the sum is not written, and every sweep reads what it is made of.
        let isWritten = !plan.mayReopenWindow && window.count > 1
        for index in window.indices where (index == 0 || !isWritten) && window[index].source == sum {
            window[index] = Work(
                operations: adding.operations + window[index].operations, source: "gradient",
                isLast: window[index].isLast, closes: !isWritten)
        }
        return section("A micro-batch that leaves its window open", measuring + [adding])
            + section("A micro-batch that closes its window", measuring + window)
    }

    /// One sweep: what it does to each block and what it reads the gradient from.
    struct Work {
        var operations: [Plan.Operation]
        var source: String
        /// Whether stages may change their slots for good in it.
        var isLast = false
        /// Whether it closes a window, whose sum is then read and not written.
        var closes = false
    }

    private func windowSweeps(source: String) -> [Work] {
        var sweeps: [Work] = []
        for measuring in plan.window.measuring {
            if !measuring.statistics.isEmpty { sweeps.append(Work(operations: measuring.operations, source: source)) }
            sweeps += measuring.passes.map {
                Work(operations: plan.passes[$0].operations + plan.passes[$0].end, source: source)
            }
        }
        let last = plan.last + plan.end
        return (sweeps + [Work(operations: last, source: source, isLast: true)]).map(sinceLastPass)
    }

    /// A sweep without what a pass over all parameters has done for it.
    private func sinceLastPass(_ sweep: Work) -> Work {
        // What lasts of slots is made in the last sweep, in front of a pass as well.
        let firstKept = sweep.operations.firstIndex { operation in
            switch operation {
            case .transform(let station), .direct(let station): !slots.ofStations[station].isEmpty
            default: false
            }
        }
        let end = sweep.isLast ? firstKept ?? sweep.operations.count : sweep.operations.count
        let load = sweep.operations[..<end].lastIndex { operation in
            if case .load(let pass) = operation { passes[pass].isOfAll } else { false }
        }
        guard let load, case .load(let pass) = sweep.operations[load] else { return sweep }
        return Work(
            operations: Array(sweep.operations[(load + 1)...]), source: passes[pass].name, isLast: sweep.isLast)
    }

    private func section(_ title: String, _ sweeps: [Work]) -> [String] {
        var lines = ["\(title): \(count(sweeps.count, "sweep"))"]
        for (index, sweep) in sweeps.enumerated() {
            let work = describe(sweep.operations) + traffic(sweep)
            for (position, line) in work.enumerated() {
                lines.append((position == 0 ? "  sweep \(index + 1)  " : "           ") + line)
            }
        }
        return lines
    }

    // MARK: What is done

    /// What is done, a line each; measurements for the same stages share one.
    private func describe(_ operations: [Plan.Operation]) -> [String] {
        var lines: [String] = []
        var measured: (what: [String], users: String)?
        func end() {
            if let measured { lines.append("measure \(measured.what.joined(separator: ", ")) for \(measured.users)") }
            measured = nil
        }
        for operation in operations {
            if case .measure(let statistic, _) = operation {
                let users = users(of: statistic)
                if measured?.users != users {
                    end()
                    measured = ([], users)
                }
                measured?.what.append("\(plan.statistics[statistic].what)")
            } else if let line = describe(operation) {
                end()
                lines.append(line)
            }
        }
        end()
        return lines
    }

    private func describe(_ operation: Plan.Operation) -> String? {
        switch operation {
        case .scale(let run):
            let names = plan.runs[run].map { stations[$0].name }.joined(separator: " · ")
            return plan.runs[run].count > 1 ? "\(names), as one factor" : names
        case .transform(let station): return stations[station].name + onWholeTensors(station)
        case .direct(let station): return "\(stations[station].name) makes its direction" + onWholeTensors(station)
        case .accumulate: return chain.window.map { chain.stages[$0.position].name }
        case .update: return update
        case .copyParameters: return "copy parameters"
        case .measureUpdate: return "measure the change of parameters for the report"
        case .store: return "store the gradients"
        case .addToHistograms: return "count magnitudes"
        case .measure, .rememberParameters, .rememberGradient, .checkGradient, .load, .keep: return nil
        }
    }

    private func onWholeTensors(_ station: Int) -> String {
        guard stations[station].reach.isWholeTensors else { return "" }
        return stations[station].reach.isInTurn ? ", tensor by tensor" : ", whole tensors at once"
    }

    /// What the optimizers do at the end.
    private var update: String {
        elements.branches.indices.map { index in
            let station = elements.stations(ofBranch: index).lowerBound
            let verb = elements.branches[index].isFused ? "updates\(onWholeTensors(station))" : "moves the parameters"
            let followers = elements.branches[index].followers.map { ", \($0.value.name) follows" }.joined()
            return "\(optimizerNames[index]) \(verb)\(followers)"
        }.joined(separator: "; ")
    }

    /// What it takes to hand out whole tensors in the last sweep.
    private var wholeTensors: [String] {
        guard !plan.wholeInLastSweep.isEmpty else { return [] }
        let names = plan.wholeInLastSweep.map { stations[$0].name }.joined(separator: ", ")
        return ["Whole tensors: handed to \(names) in the last sweep; scratch a thread for the largest"]
    }

    /// For whom something is measured.
    private func users(of statistic: Int) -> String {
        let readers = plan.sources.indices.filter { plan.sources[$0].contains(statistic) }
        let checks = ([plan.microBatch, plan.window].compactMap { $0 }).flatMap(\.measuring).flatMap(\.checks)
        var uses = readers.map { stations[$0].name }
        if checks.contains(where: { $0.statistic == statistic && ($0.stage.map { !readers.contains($0) } ?? true) }) {
            uses.append("the check that all is finite")
        }
        if uses.isEmpty || (statistic == plan.inputNorm && configuration.reporting.contains(.layerNorms)) {
            uses.append("the report")
        }
        return uses.joined(separator: ", ")
    }

    private func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
}
