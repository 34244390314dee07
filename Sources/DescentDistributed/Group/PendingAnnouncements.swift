import DescentCore

/// The announcements of all ranks, on their way.
final class PendingAnnouncements {
    private let own: Announcement
    private let group: ProcessGroup
    private let sent: UnsafeMutableRawPointer
    private let received: UnsafeMutableRawPointer
    private var transfer: Transfer?

    /// Sends one to every rank.
    ///
    /// - Throws: `DescentError`, as the communicator does.
    init(_ announcement: Announcement, on channel: Channel, of group: ProcessGroup) throws(DescentError) {
        (own, self.group) = (announcement, group)
        let size = Announcement.byteCount
        sent = .allocate(byteCount: size, alignment: 8)
        announcement.write(to: sent)
        received = .allocate(byteCount: size * group.rankCount, alignment: 8)
        received.initializeMemory(as: UInt8.self, repeating: 0, count: size * group.rankCount)
        transfer = try group.beginGathering(
            UnsafeRawBufferPointer(start: sent, count: size),
            into: UnsafeMutableRawBufferPointer(start: received, count: size * group.rankCount), on: channel)
    }

    deinit {
        // The communicator may still write here if nobody has waited.
        guard transfer == nil else { return }
        sent.deallocate()
        received.deallocate()
    }

    /// Whether all have arrived.
    var isDone: Bool {
        get throws(DescentError) {
            if let transfer, try group.isDone(transfer) { self.transfer = nil }
            return transfer == nil
        }
    }

    /// Waits for the announcements of all ranks, in their order.
    ///
    /// - Returns: The announcements, none of which tells of an error.
    /// - Throws: `DescentError` with code `processFailure` if a rank has an error or has come to its end, and with
    ///   `processMismatch` if they are not about to do the same.
    func wait() throws(DescentError) -> [Announcement] {
        if let transfer { try group.wait(for: transfer) }
        transfer = nil
        var announcements: [Announcement] = []
        for rank in 0..<group.rankCount {
            guard let announcement = Announcement(reading: received + rank * Announcement.byteCount) else {
                throw DescentError(
                    .processMismatch, "Rank \(rank) runs another version of Descent. All ranks have to run the same.")
            }
            announcements.append(announcement)
        }
        try requireAll(announcements)
        return announcements
    }

    private func requireAll(_ announcements: [Announcement]) throws(DescentError) {
        for (rank, other) in announcements.enumerated() where other.action == .leaving && own.action != .leaving {
            throw group.end(
                DescentError(
                    .processFailure,
                    other.isError
                        ? "Rank \(rank) has ended because of an error: \(other.text)"
                        : "Rank \(rank) \(other.phrase) while rank \(group.rank) \(own.phrase). All ranks have to step "
                            + "equally often."))
        }
        for (rank, other) in announcements.enumerated() where other.action == .failing && own.action != .failing {
            throw DescentError(
                .processFailure,
                "Rank \(rank) takes no part in this step, because of an error of its own: \(other.text)")
        }
        for (rank, other) in announcements.enumerated()
        where (other.action, other.exchange) != (own.action, own.exchange) {
            let error = DescentError(
                .processMismatch,
                "Rank \(group.rank) \(own.phrase) while rank \(rank) \(other.phrase). All ranks have to build the same "
                    + "pipelines, step them equally often, and do so in the same order.")
            throw own.action == .leaving ? group.end(error) : error
        }
    }
}
