import DescentCore

/// The announcements of all ranks, on their way.
///
/// Once they have arrived it is used again, so that a step asks for no memory.
final class PendingAnnouncements {
    private var own = Announcement(.barrier)
    /// The group, which keeps this, or is kept by who does.
    private unowned let group: ProcessGroup
    private let sent: UnsafeMutableRawPointer
    private let received: UnsafeMutableRawPointer
    private var transfer: Transfer?
    /// What has arrived last.
    private var announcements: [Announcement] = []

    /// Makes room for one of each rank.
    init(of group: ProcessGroup) {
        self.group = group
        let size = Announcement.byteCount
        sent = .allocate(byteCount: size, alignment: 8)
        received = .allocate(byteCount: size * group.rankCount, alignment: 8)
        received.initializeMemory(as: UInt8.self, repeating: 0, count: size * group.rankCount)
        announcements.reserveCapacity(group.rankCount)
    }

    /// Sends one to every rank.
    ///
    /// - Throws: `DescentError`, as the communicator does.
    func begin(_ announcement: Announcement, on channel: Channel) throws(DescentError) {
        own = announcement
        let size = Announcement.byteCount
        announcement.write(to: sent)
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
        announcements.removeAll(keepingCapacity: true)
        defer { group.takeBack(self) }
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
