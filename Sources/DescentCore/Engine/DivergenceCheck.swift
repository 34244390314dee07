/// What is known of parameters that are not finite, so that an update is blamed only for those that it has made so.
struct DivergenceCheck: Sendable {
    /// For each parameter, whether it holds NaN or infinities, which is no news then.
    private var wasNotFinite: [Bool]
    /// Whether that has been looked at.
    private(set) var knowsParameters = false

    init(parameterCount: Int) { wasNotFinite = [Bool](repeating: false, count: parameterCount) }

    /// The first parameter that is known not to be finite; nil if none is.
    var firstNotFinite: Int? { wasNotFinite.firstIndex(of: true) }

    /// Looks for parameters that the last sweep has made NaN or infinite; one that was not finite before does not count.
    ///
    /// - Parameters:
    ///   - buffers: What the sweep found in each block.
    ///   - blockRanges: For each parameter, its blocks.
    ///   - lasts: Whether the sweep changed what the next one begins with, as an update does and a chain alone does not.
    ///   - isLeftOut: For each parameter, whether the sweep has left it as it was; empty if it has left out none.
    /// - Returns: The first of them; nil if there is none.
    mutating func firstDiverged(
        _ buffers: StepBuffers, _ blockRanges: [Range<Int>], lasts: Bool, leavingOut isLeftOut: [Bool] = []
    ) -> Int? {
        defer { knowsParameters = lasts }
        guard buffers.hasFlags || wasNotFinite.contains(true) else { return nil }
        var found: Int?
        for (parameter, range) in blockRanges.enumerated() where !range.isEmpty {
            let before = range.contains { buffers.flags[$0].contains(.wasNotFinite) }
            if !isLeftOut.isEmpty, isLeftOut[parameter] {
                if before { wasNotFinite[parameter] = true }
                continue
            }
            let after = range.contains { buffers.flags[$0].contains(.isNotFinite) }
            if after, !before, !wasNotFinite[parameter], found == nil { found = parameter }
            wasNotFinite[parameter] = after && lasts
        }
        return found
    }
}
