/// The largest difference of two lists of numbers, relative to those above 1.
///
/// It is infinite where one is NaN, or has more elements than the other, so that no tolerance accepts it.
package func largestDifference(_ found: some Sequence<Float>, _ expected: some Sequence<Double>) -> Double {
    var (found, expected) = (found.makeIterator(), expected.makeIterator())
    var largest = 0.0
    while true {
        switch (found.next(), expected.next()) {
        case (nil, nil): return largest
        case (let found?, let expected?):
            let difference = abs(Double(found) - expected) / max(1, abs(expected))
            if !(difference <= largest) { largest = difference.isNaN ? .infinity : difference }
        default: return .infinity
        }
    }
}

/// The largest difference of two lists of numbers, relative to those above 1; infinite where one is NaN.
package func largestDifference(_ found: some Sequence<Float>, _ expected: some Sequence<Float>) -> Double {
    largestDifference(found, expected.lazy.map { Double($0) })
}
