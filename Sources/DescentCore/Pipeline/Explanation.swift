/// The plan in words, as a database explains a query.
struct Explanation {
    let text: String

    init<Backend: TensorBackend>(_ engine: Engine<Backend>) {
        let plan = engine.plan
        var lines: [String] = []
        let optimizer = engine.optimizer?.name
        lines.append("Pipeline: " + (engine.stageNames + [optimizer ?? "gradients out"]).joined(separator: " → "))
        lines.append(
            "  \(engine.layout.count) parameters, \(engine.layout.elementCount) elements in \(engine.blocks.count) blocks, "
                + "up to \(engine.backend.threadCount) threads")
        let parts = Parts(engine)
        if let microBatch = plan.microBatch {
            lines.append("A micro-batch that leaves its window open:")
            lines += parts.sweeps(of: microBatch, source: "gradient", gathers: false, end: .accumulate)
            lines.append("A micro-batch that closes its window:")
            let before = microBatch.measuring.count
            if before > 0 {
                lines += parts.sweeps(of: microBatch, source: "gradient", gathers: false, end: nil)
            }
            lines += parts.sweeps(
                of: plan.window, source: "accumulator", gathers: true, end: optimizer == nil ? .store : .update,
                from: before)
        } else {
            lines.append("A step:")
            lines += parts.sweeps(
                of: plan.window, source: "gradient", gathers: false, end: optimizer == nil ? .store : .update)
        }
        let scratch = engine.backend.scratchBytes(engine.workspace)
        let slots = zip(engine.slotNames, engine.slotTypes).map { "\($0) \($1.byteCount) B" }
        lines.append(
            "Kept between steps: \(slots.isEmpty ? "nothing" : slots.joined(separator: ", ")) for each element")
        lines.append("Scratch: \(scratch) B and \(4 * engine.buffers.rowCount) B for the means of rows")
        text = lines.joined(separator: "\n")
    }

    private struct Parts<Backend: TensorBackend> {
        let engine: Engine<Backend>

        init(_ engine: Engine<Backend>) { self.engine = engine }

        func sweeps(
            of segment: Plan.Segment, source: String, gathers: Bool, end: Plan.Operation?, from first: Int = 0
        ) -> [String] {
            var lines: [String] = []
            var gathers = gathers
            for (index, sweep) in segment.measuring.enumerated() {
                var work = gathers ? gathering : []
                work += sweep.operations.map(describe)
                lines.append(
                    line(first + index + 1, work, gathers ? "gradient" : source, Traffic(gathers: gathers, end: nil)))
                gathers = false
            }
            guard let end else { return lines }
            var work = gathers ? gathering : []
            work += (segment.final + [end]).map(describe)
            let isGathering = gathers || end == .accumulate
            lines.append(
                line(
                    first + segment.measuring.count + 1, work, isGathering ? "gradient" : source,
                    Traffic(gathers: isGathering, end: end)))
            return lines
        }

        private struct Traffic {
            var gathers: Bool
            var end: Plan.Operation?
        }

        private var gathering: [String] {
            (engine.plan.microBatch?.final ?? []).map(describe) + [describe(.accumulate)]
        }

        private func line(_ number: Int, _ work: [String], _ source: String, _ traffic: Traffic) -> String {
            var reads = [(source, 4)]
            var writes: [(String, Int)] = []
            if traffic.gathers {
                reads.append(("accumulator", 4))
                writes.append(("accumulator", 4))
            }
            if traffic.end == .update {
                let first = engine.firstSlots[engine.stages.count]
                let own = (first..<engine.slots.count).map { (engine.slotNames[$0], engine.slotTypes[$0].byteCount) }
                reads += [("parameter", 4)] + own
                writes += [("parameter", 4)] + own
                if let copy = engine.parameterCopy { writes.append(("copy", copy.elementType.byteCount)) }
            }
            if traffic.end == .store { writes.append(("gradient", 4)) }
            let written = writes.isEmpty ? "" : "\n    writes \(Self.bytes(writes)) for each element"
            return
                "  sweep \(number): \(work.joined(separator: ", "))\n    reads \(Self.bytes(reads)) for each element\(written)"
        }

        private static func bytes(_ parts: [(name: String, bytes: Int)]) -> String {
            "\(parts.reduce(0) { $0 + $1.bytes }) B (\(parts.map(\.name).joined(separator: ", ")))"
        }

        private func describe(_ operation: Plan.Operation) -> String {
            switch operation {
            case .scale(let run):
                return engine.plan.runs[run].map { engine.stageNames[$0] }.joined(separator: " · ") + " (one factor)"
            case .transform(let stage): return engine.stageNames[stage]
            case .measure(let column): return measurement(column)
            case .accumulate: return engine.plan.accumulating.map { engine.stageNames[$0] } ?? "accumulate"
            case .propose: return "\(engine.optimizer?.name ?? "optimizer") proposes an update"
            case .rememberParameters, .measureUpdate: return "measure the change"
            case .addToHistograms: return "count magnitudes"
            case .copyParameters: return "copy the parameters"
            case .discardGradient: return "without the gradient"
            case .update: return "\(engine.optimizer?.name ?? "optimizer") updates"
            case .store: return "store"
            }
        }

        private func measurement(_ column: Int) -> String {
            let plan = engine.plan
            let stages = plan.sources.indices.filter { plan.sources[$0].contains(column) }
            let segments = [plan.microBatch, plan.window].compactMap { $0 }
            let checks = segments.flatMap(\.measuring).flatMap(\.checks).filter { $0.column == column }
            var uses = stages.map { engine.stageNames[$0] }
            if checks.contains(where: { $0.stage == nil || !stages.contains($0.stage ?? -1) }) {
                uses.append("the check that all is finite")
            }
            return "measure \(plan.columns[column].what) for \(uses.joined(separator: ", "))"
        }
    }
}
