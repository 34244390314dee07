import Synchronization

/// Where the blocks of a sweep add up their histograms, one for each parameter.
@usableFromInline final class HistogramSink: Sendable {
    private let histograms: Mutex<[MagnitudeHistogram]>

    init(parameterCount: Int) {
        histograms = Mutex([MagnitudeHistogram](repeating: MagnitudeHistogram(), count: parameterCount))
    }

    private init(_ values: [MagnitudeHistogram]) { histograms = Mutex(values) }

    @usableFromInline func add(_ histogram: MagnitudeHistogram, of parameter: Int) {
        histograms.withLock { $0[parameter].add(histogram) }
    }

    var values: [MagnitudeHistogram] { histograms.withLock { $0 } }

    /// Another sink with what this one has counted.
    func copy() -> HistogramSink { HistogramSink(values) }
}
