import Descent
import ExampleSupport

/// Measures one chain over one workload in this process.
struct Measuring {
    let workload: Workload
    let chain: BenchmarkChain
    let backend: SIMDBackend
    /// For how long, half of it against each rival where there are two.
    let seconds: Double

    /// Measures.
    func measurement() throws -> Measurement {
        var subject = try Subject(workload, chain, on: backend)
        let traffic = try PlannedTraffic(of: subject)
        // Before passes over memory of their own add to it.
        for _ in 0..<2 { _ = try subject.step() }
        var peak = ProcessMemory.peakResidentBytes
        let roofline = try chain.roofline.passes(for: subject)
        let turns = try alternate(&subject, and: roofline)
        if chain.roofline != .bytes { peak = ProcessMemory.peakResidentBytes }
        let layout = subject.pipeline.layout
        func nanoseconds(_ times: [Double]) -> Measurement.Nanoseconds { .init(times, elements: layout.elementCount) }
        var measurement = Measurement(
            workload: workload.name, chain: chain.name, tensors: layout.count, elements: layout.elementCount,
            nanosecondsPerElement: nanoseconds(turns.first.map(\.whole)),
            rooflineNanosecondsPerElement: nanoseconds(turns.second.map(\.whole)),
            rooflineRatio: turns.ratio().shortened, rounds: turns.first.count, sweeps: subject.pipeline.sweepCount,
            bytesPerElement: traffic.bytesPerElement, bytesAreUpperBound: traffic.isUpperBound,
            peakResidentBytes: peak, processor: Machine.processor, operatingSystem: Machine.operatingSystem,
            threads: backend.threadCount, instructionSet: backend.instructionSet.rawValue)
        if chain.microBatchCount > 2 {
            // All but the first and the last micro-batch are added to what is there.
            let count = Double(chain.microBatchCount - 2)
            measurement.microBatch = .init(
                nanosecondsPerElement: nanoseconds(turns.first.map { $0.adding / count }),
                timeOverBarePass: (1 / turns.ratio(\.adding)).shortened)
        }
        if let rival = chain.rival.map(BenchmarkChain.existing) {
            var other = try Subject(workload, rival, on: backend)
            let bytes = try PlannedTraffic(of: other).bytesPerElement
            measurement.rival = rival.name
            measurement.bytesOverRival = (Double(traffic.bytesPerElement) / Double(bytes)).shortened
            measurement.timeOverRival = try alternate(&other, and: &subject).ratio().shortened
        }
        return measurement
    }

    /// For how long it measures against each of two, or against the roofline alone.
    private var share: Double { chain.rival == nil ? seconds : seconds / 2 }

    private func alternate(_ subject: inout Subject, and roofline: some Roofline) throws -> Turns {
        try withUnsafeMutablePointer(to: &subject) { subject in
            try Turns(seconds: share) {
                try subject.pointee.step()
            } _: {
                roofline.step(of: subject.pointee)
            }
        }
    }

    /// Of two subjects, each with tensors of its own.
    private func alternate(_ other: inout Subject, and subject: inout Subject) throws -> Turns {
        try Turns(seconds: share) {
            try other.step()
        } _: {
            try subject.step()
        }
    }
}
