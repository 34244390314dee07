import Dispatch

/// Work on as many threads as there are processors.
package enum Concurrently {
    /// Calls a closure for each number below a count, and gives what it returns in their order.
    ///
    /// Which thread takes which number is left open, so that results must not depend on it.
    package static func map<Result: Sendable>(_ count: Int, _ body: @Sendable (Int) -> Result) -> [Result] {
        var results = [Result?](repeating: nil, count: count)
        results.withUnsafeMutableBufferPointer { results in
            // Each place is written by one call alone.
            nonisolated(unsafe) let places = results
            DispatchQueue.concurrentPerform(iterations: count) { places[$0] = body($0) }
        }
        return results.compactMap { $0 }
    }
}
