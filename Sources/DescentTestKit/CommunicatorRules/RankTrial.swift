import DescentDistributed
import DescentErrors

/// One rank of a communicator that is verified, with two channels.
struct RankTrial {
    let communicator: any Communicator
    let channels: [Channel]
    /// How long a transfer may take that all ranks have begun.
    let limit: Duration
    /// Told what the rank is about to do.
    let note: @Sendable (String) -> Void

    init(
        _ communicator: any Communicator, limit: Duration, _ note: @escaping @Sendable (String) -> Void
    ) throws(DescentError) {
        (self.communicator, self.limit, self.note) = (communicator, limit, note)
        note("openChannel()")
        channels = [try communicator.openChannel(), try communicator.openChannel()]
    }

    var rank: Int { communicator.rank }
    var rankCount: Int { communicator.rankCount }

    func begin(_ trial: TrialTransfer, on channel: Int = 0) throws(DescentError) -> TransferUnderWay {
        note("beginning \(trial)")
        return try TransferUnderWay(trial, over: communicator, on: channels[channel])
    }

    /// Waits for the end of a transfer that all ranks begin, and says what is wrong.
    func finish(_ transfer: TransferUnderWay) throws(DescentError) -> String? {
        note("wait(for:atMost:) for \(transfer.trial)")
        guard try transfer.wait(atMost: limit) else {
            return "rank \(rank) has waited for \(transfer.trial) for \(limit) in vain, though all ranks have begun it"
        }
        return transfer.complaint
    }

    /// Carries out one transfer.
    func run(_ trial: TrialTransfer, on channel: Int = 0) throws(DescentError) -> String? {
        try finish(begin(trial, on: channel))
    }
}
