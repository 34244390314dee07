import DescentCore

/// What one record tells of a step: numbers and histograms, each under a tag of its own.
struct SummaryValues {
    private(set) var summary = TensorBoardSummary()
    private var tags: Set<String> = []

    /// Adds a number.
    mutating func add(_ tag: String, _ value: Float) { append(tag) { $0.simpleValue = value } }

    /// Adds a histogram, and the shares of numbers that are not in it.
    mutating func add(_ tag: String, _ histogram: MagnitudeHistogram) {
        if let message = TensorBoardHistogramProto(histogram) { append(tag) { $0.histo = message } }
        let count = Float(max(1, histogram.count))
        add("\(tag)/zeros", Float(histogram.zeroCount) / count)
        let nonFiniteCount = histogram.nanCount + histogram.infiniteCount
        if nonFiniteCount > 0 { add("\(tag)/non_finite", Float(nonFiniteCount) / count) }
    }

    /// A tag that is taken gets a number behind it: a chain can have the same stage twice.
    private mutating func append(_ tag: String, _ set: (inout TensorBoardSummary.Value) -> Void) {
        var value = TensorBoardSummary.Value()
        value.tag = tag
        var number = 2
        while !tags.insert(value.tag).inserted {
            value.tag = "\(tag) \(number)"
            number += 1
        }
        set(&value)
        summary.value.append(value)
    }
}
