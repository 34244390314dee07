import Synchronization

/// Where the blocks of a sweep add up their histograms, one for each parameter.
final class HistogramSink: Sendable {
    private let histograms: Mutex<[MagnitudeHistogram]>

    init(parameterCount: Int) {
        histograms = Mutex([MagnitudeHistogram](repeating: MagnitudeHistogram(), count: parameterCount))
    }

    func add(_ histogram: MagnitudeHistogram, of parameter: Int) {
        histograms.withLock { $0[parameter].add(histogram) }
    }

    var values: [MagnitudeHistogram] { histograms.withLock { $0 } }
}
