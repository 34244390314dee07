extension Explanation {
    /// What a sweep reads and writes, in bytes for each element.
    func traffic(_ sweep: Work) -> [String] {
        var traffic = Traffic()
        traffic.read(sweep.source, 4)
        for operation in sweep.operations {
            switch operation {
            case .accumulate:
                traffic.read(sum, 4)
                if !sweep.closes { traffic.write(sum, 4) }
            case .transform(let station), .direct(let station):
                let isPass = sweep.operations.contains { isResult($0, of: station) }
                touch(slots.ofStations[station], isWritten: sweep.isLast || isPass, &traffic)
                if stations[station].readsParameters { readParameters(&traffic) }
            case .measure(let statistic, _):
                if plan.statistics[statistic].what.readsParameters { readParameters(&traffic) }
                guard let station = plan.statistics[statistic].station else { continue }
                touch(slots.ofStations[station], isWritten: false, &traffic)
            case .load(let pass):
                traffic.read(passes[pass].name, 4)
                if !passes[pass].isOfAll { traffic.isPartial = true }
            case .keep(let pass): traffic.write(passes[pass].name, 4)
            case .update:
                readParameters(&traffic)
                traffic.write("parameter", parameterBytes)
                if let masters = slots.ofMasters { touch(masters..<masters + 1, isWritten: true, &traffic) }
                for index in elements.branches.indices {
                    let component = elements.componentPosition(ofBranch: index)
                    if elements.branches[index].isFused {
                        touch(slots.ofComponents[component], isWritten: true, &traffic)
                    }
                    for range in slots.ofFollowers[index] { touch(range, isWritten: true, &traffic) }
                }
            case .copyParameters: traffic.write("copy of parameters", configuration.parameterCopy?.byteCount ?? 0)
            case .store: traffic.write("gradient", 4)
            case .scale, .checkGradient, .rememberParameters, .rememberGradient, .measureUpdate, .addToHistograms: break
            }
        }
        return traffic.lines
    }

    /// How many bytes a parameter takes where it is stored; of 16 bits, where the configuration has a way for those.
    private var parameterBytes: Int {
        configuration.lowPrecisionParameters == .refuse || elements.branches.isEmpty ? 4 : 2
    }

    /// Notes that parameters are read, with the masters that they have.
    private func readParameters(_ traffic: inout Traffic) {
        traffic.read("parameter", parameterBytes)
        if let masters = slots.ofMasters { touch(masters..<masters + 1, isWritten: false, &traffic) }
    }

    /// Whether an operation keeps the result of a pass of a station.
    private func isResult(_ operation: Plan.Operation, of station: Int) -> Bool {
        if case .keep(let pass) = operation { plan.passes[pass].station == station } else { false }
    }

    /// Notes that slots are read, and that they are written.
    private func touch(_ range: Range<Int>, isWritten: Bool, _ traffic: inout Traffic) {
        for slot in range {
            // What keeps a number a row, or less, is next to nothing.
            let bytes = slots.shapes[slot] == .parameter ? slots.types[slot].byteCount : 0
            if bytes > 0, slots.layouts[slot].elementCount < layout.elementCount { traffic.isPartial = true }
            traffic.read(slots.names[slot], bytes)
            if isWritten { traffic.write(slots.names[slot], bytes) }
        }
    }
}

/// What a sweep reads and writes.
private struct Traffic {
    private var reads: [(name: String, bytes: Int)] = []
    private var writes: [(name: String, bytes: Int)] = []
    /// Whether some of it concerns some of the parameters alone.
    var isPartial = false

    mutating func read(_ name: String, _ bytes: Int) {
        if !reads.contains(where: { $0.name == name }) { reads.append((name, bytes)) }
    }

    mutating func write(_ name: String, _ bytes: Int) {
        if !writes.contains(where: { $0.name == name }) { writes.append((name, bytes)) }
    }

    var lines: [String] { [line("reads", reads), line("writes", writes)].compactMap { $0 } }

    private func line(_ verb: String, _ parts: [(name: String, bytes: Int)]) -> String? {
        guard !parts.isEmpty else { return nil }
        let names = parts.map(\.name).joined(separator: ", ")
        let total = parts.reduce(0) { $0 + $1.bytes }
        return "\(verb) \(isPartial ? "up to " : "")\(total) B for each element: \(names)"
    }
}
