/// What is printed of one chain over one workload; its properties are the keys of the JSON.
struct Measurement: Codable {
    /// Nanoseconds for each parameter element, over all rounds.
    struct Nanoseconds: Codable {
        let minimum: Double
        let median: Double
    }

    /// What adding one micro-batch to an open window costs.
    struct MicroBatch: Codable {
        let nanosecondsPerElement: Nanoseconds
        /// Its time over that of a bare pass, in turns, that reads two buffers and writes one.
        let timeOverBarePass: Double
    }

    let workload: String
    let chain: String
    let tensors: Int
    let elements: Int
    /// The time of one update of the parameters; with micro-batches, of a whole window.
    let nanosecondsPerElement: Nanoseconds
    let rooflineNanosecondsPerElement: Nanoseconds
    /// The roofline's time over the chain's, round by round; 1 is as fast as memory.
    let rooflineRatio: Double
    let rounds: Int
    /// The number of sweeps over the gradients of an update, for a micro-batch that closes its window.
    let sweeps: Int
    /// What the plan reads and writes for each element in one update.
    let bytesPerElement: Int
    /// Whether that is more than some parameters take.
    let bytesAreUpperBound: Bool
    /// What the process held at most, while it ran nothing but this chain and its roofline.
    let peakResidentBytes: Int
    let processor: String
    let operatingSystem: String
    let threads: Int
    let instructionSet: String
    /// The chain's time over that of another, in turns; for variants of others.
    var timeOverRival: Double?
    /// Its bytes over those of the other.
    var bytesOverRival: Double?
    /// The other chain.
    var rival: String?
    /// For the chain with micro-batches.
    var microBatch: MicroBatch?
}

extension Measurement.Nanoseconds {
    /// Of the times of steps over so many elements.
    init(_ times: [Double], elements: Int) {
        minimum = (times.min() ?? .nan).divided(by: elements)
        median = times.median.divided(by: elements)
    }
}

extension Double {
    fileprivate func divided(by elements: Int) -> Double { (self / Double(elements)).shortened }

    /// With four digits after the point.
    var shortened: Double { (self * 10_000).rounded() / 10_000 }
}
