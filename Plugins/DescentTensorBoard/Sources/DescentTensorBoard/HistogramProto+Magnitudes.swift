import DescentCore

extension TensorBoardHistogramProto {
    /// The distribution of log2 of the magnitudes, from the first bin with a number in it to the last; nil if there is
    /// none.
    ///
    /// TensorBoard shows minimum, maximum and bins. The sums are taken from the middles of the bins.
    init?(_ histogram: MagnitudeHistogram) {
        let exponents = MagnitudeHistogram.exponents
        var bins = [(lower: -149, upper: exponents.lowerBound, count: histogram.subnormalCount)]
        bins += exponents.map { (lower: $0, upper: $0 + 1, count: histogram[$0]) }
        guard let first = bins.firstIndex(where: { $0.count > 0 }), let last = bins.lastIndex(where: { $0.count > 0 })
        else { return nil }
        self.init()
        min = Double(bins[first].lower)
        max = Double(bins[last].upper)
        for bin in bins[first...last] {
            let (count, middle) = (Double(bin.count), Double(bin.lower + bin.upper) / 2)
            bucketLimit.append(Double(bin.upper))
            bucket.append(count)
            num += count
            sum += count * middle
            sumSquares += count * middle * middle
        }
    }
}
