import DescentCore

extension ProcessGroup {
    /// Makes sure that all ranks are about to do the same, before any of them writes what lasts.
    ///
    /// - Parameters:
    ///   - decision: What this rank is about to do.
    ///   - exchange: The number of its pipeline.
    ///   - parameters: A digest of the parameters; 0 where there is nothing to compare.
    ///   - compare: Names what differs, where digests do.
    /// - Returns: Whether the parameters of all ranks have been compared.
    /// - Throws: `DescentError` with code `processFailure` if a rank cannot, and with `processMismatch` if ranks differ.
    @discardableResult
    func settle(
        _ decision: StepDecision, exchange: UInt64, parameters: UInt64 = 0,
        naming compare: () throws(DescentError) -> Void = {}
    ) throws(DescentError) -> Bool {
        var announcement = Announcement(.skip, exchange: exchange)
        switch decision {
        case .accumulate: announcement.action = .accumulate
        case .update(let digest):
            announcement.action = .update
            announcement.digest = digest
        case .skip(let reason):
            var digest = Digest()
            digest.add(reason.code.description)
            announcement.digest = digest.value
        }
        announcement.secondDigest = parameters
        let all = try announce(announcement).wait()
        let canCompare = all.allSatisfy { $0.secondDigest != 0 }
        if canCompare, all.contains(where: { $0.secondDigest != parameters }) { try compare() }
        if let other = all.firstIndex(where: { $0.digest != announcement.digest }) {
            throw DescentError(
                .processMismatch,
                "Rank \(rank) and rank \(other) differ as each \(announcement.phrase): in loss scale, applied steps, learning "
                    + "rates, decays or factors. Tell all ranks the same metrics, resume them from one checkpoint, and have "
                    + "stages decide by what is the same on all.")
        }
        return canCompare
    }
}
