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
        let roofline = Roofline(for: subject)
        let seconds = chain.rival == nil ? seconds : seconds / 2
        let turns = try withUnsafeMutablePointer(to: &subject) { subject in
            try Turns(seconds: seconds) {
                try subject.pointee.step()
            } _: {
                roofline.step(of: subject.pointee)
            }
        }
        let layout = subject.pipeline.layout
        func nanoseconds(_ times: [Double]) -> Measurement.Nanoseconds { .init(times, elements: layout.elementCount) }
        var measurement = Measurement(
            workload: workload.rawValue, chain: chain.rawValue, tensors: layout.count, elements: layout.elementCount,
            nanosecondsPerElement: nanoseconds(turns.first.map(\.whole)),
            rooflineNanosecondsPerElement: nanoseconds(turns.second.map(\.whole)),
            rooflineRatio: turns.ratio().shortened, rounds: turns.first.count, sweeps: subject.pipeline.sweepCount,
            bytesPerElement: Traffic(of: subject).bytesPerElement, peakResidentBytes: ProcessMemory.peakResidentBytes,
            threads: backend.threadCount, instructionSet: backend.instructionSet.rawValue)
        if chain == .accumulate {
            // Two micro-batches of four are added to what is there.
            let count = Double(chain.microBatchCount - 2)
            measurement.microBatch = .init(
                nanosecondsPerElement: nanoseconds(turns.first.map { $0.adding / count }),
                timeOverBarePass: (1 / turns.ratio(\.adding)).shortened)
        }
        if let rival = chain.rival {
            measurement.rival = rival.rawValue
            measurement.timeOverRival = try time(over: rival, &subject, seconds).shortened
        }
        return measurement
    }

    /// The chain's time over that of another, which has tensors of its own.
    private func time(
        over rival: BenchmarkChain, _ subject: inout Subject, _ seconds: Double
    ) throws -> Double {
        var other = try Subject(workload, rival, on: backend)
        let turns = try Turns(seconds: seconds) {
            try other.step()
        } _: {
            try subject.step()
        }
        return turns.ratio()
    }
}
