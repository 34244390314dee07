import CMPI
public import DescentCore

/// What a rank tells the others before it does something that concerns them all.
struct Announcement {
    /// What it is about to do.
    enum Action: UInt64 {
        case barrier = 1
        case broadcast
        case connect
        case step
        case leaving
        case failing

        var phrase: String {
            switch self {
            case .barrier: "waits at a barrier"
            case .broadcast: "broadcasts"
            case .connect: "builds a pipeline"
            case .step: "steps a pipeline"
            case .leaving: "has come to its end"
            case .failing: "takes no part in a step"
            }
        }
    }

    private static let headCount = 8
    /// How many words hold a text, eight bytes each.
    private static let textCount = 32
    static let wordCount = headCount + textCount

    var action: Action
    /// Which pipeline it concerns, in the order in which they were built.
    var exchange: UInt64 = 0
    /// What all ranks have to agree on.
    var digest: UInt64 = 0
    /// What the rank's gradients are to be multiplied by.
    var factor: Float = 1
    /// The weight of its window.
    var weight = 1.0
    /// The length of the reason why it objects to the step; 0 if it does not.
    var reasonLength = 0
    /// Whether its window holds nothing.
    var isEmpty = false
    /// Why it fails, cut to what there is room for.
    var text = ""

    init(_ action: Action, exchange: UInt64 = 0, digest: UInt64 = 0) {
        self.action = action
        self.exchange = exchange
        self.digest = digest
    }

    var words: [UInt64] {
        let bytes = Array(text.utf8.prefix(Self.textCount * 8))
        var words = [
            action.rawValue, exchange, digest, UInt64(factor.bitPattern), weight.bitPattern, UInt64(reasonLength),
            isEmpty ? 1 : 0, UInt64(bytes.count),
        ]
        words += [UInt64](repeating: 0, count: Self.textCount)
        for (index, byte) in bytes.enumerated() {
            words[Self.headCount + index / 8] |= UInt64(byte) << UInt64(index % 8 * 8)
        }
        return words
    }

    /// Reads what another rank has sent; nil if it is no announcement.
    init?(_ words: ArraySlice<UInt64>) {
        let words = Array(words)
        guard let action = Action(rawValue: words[0]) else { return nil }
        self.init(action, exchange: words[1], digest: words[2])
        factor = Float(bitPattern: UInt32(truncatingIfNeeded: words[3]))
        weight = Double(bitPattern: words[4])
        reasonLength = Int(words[5])
        isEmpty = words[6] != 0
        let bytes = (0..<min(Int(words[7]), Self.textCount * 8)).map { index in
            UInt8(truncatingIfNeeded: words[Self.headCount + index / 8] >> UInt64(index % 8 * 8))
        }
        text = String(decoding: bytes, as: UTF8.self)
    }
}

/// The announcements of all ranks, on their way.
final class PendingAnnouncements {
    private let own: Announcement
    private let world: Communicator
    private let memory: UnsafeMutablePointer<UInt64>
    private var request: MPI_Request?

    init(_ announcement: Announcement, over communicator: MPI_Comm, of world: Communicator) {
        (own, self.world) = (announcement, world)
        let words = Announcement.wordCount
        memory = .allocate(capacity: words * (world.size + 1))
        memory.initialize(repeating: 0, count: words * (world.size + 1))
        for (index, word) in announcement.words.enumerated() { memory[index] = word }
        MPI_Iallgather(
            memory, Int32(words), CMPI_uint64(), memory + words, Int32(words), CMPI_uint64(), communicator, &request)
    }

    deinit {
        // MPI may still write here if nobody has waited.
        if request == CMPI_noRequest() { memory.deallocate() }
    }

    /// Whether all have arrived.
    var isDone: Bool {
        var flag: Int32 = 0
        _ = CMPI_test(&request, &flag)
        return flag != 0
    }

    /// Waits for the announcements of all ranks, in their order.
    ///
    /// - Parameter comparesDigests: Whether all of them have to have one digest.
    /// - Returns: The announcements.
    /// - Throws: `DescentError` with code `processMismatch` unless all are about to do the same, with
    ///   `processFailure` if one of them cannot, and with `processTimeout` if they take too long.
    func wait(comparesDigests: Bool = true) throws(DescentError) -> [Announcement] {
        try world.finish(&request)
        let words = Announcement.wordCount
        var announcements: [Announcement] = []
        for other in 0..<world.size {
            let received = Array(UnsafeBufferPointer(start: memory + words * (other + 1), count: words))
            guard let announcement = Announcement(received[...]) else {
                throw DescentError(.processMismatch, "Rank \(other) runs another version of this program.")
            }
            announcements.append(announcement)
        }
        for (other, announcement) in announcements.enumerated() where announcement.action == .failing {
            throw DescentError(
                .processFailure,
                "Rank \(other) takes no part in this step, because of an error of its own: \(announcement.text)")
        }
        for (other, announcement) in announcements.enumerated() {
            try requireAgreement(with: announcement, of: other, comparesDigests)
        }
        return announcements
    }

    private func requireAgreement(
        with other: Announcement, of otherRank: Int, _ comparesDigests: Bool
    ) throws(DescentError) {
        let rank = world.rank
        guard other.action == own.action, other.exchange == own.exchange else {
            throw DescentError(
                .processMismatch,
                "Rank \(rank) \(own.phrase) while rank \(otherRank) \(other.phrase). All ranks have to build the same "
                    + "pipelines, step them equally often, and do so in the same order.")
        }
        guard other.digest == own.digest || !comparesDigests else {
            throw DescentError(
                .processMismatch,
                "Rank \(rank) and rank \(otherRank) do not agree as each \(own.phrase): layouts and element types have to "
                    + "be the same on all ranks.")
        }
    }
}

extension Announcement {
    fileprivate var phrase: String { exchange > 0 ? "\(action.phrase) (number \(exchange))" : action.phrase }
}

extension DescentError.Code {
    /// The processes of a job have lost step with each other, or do not agree on what they train.
    public static let processMismatch = DescentError.Code("processMismatch")
    /// Another process of the job cannot take part in a step, because of an error of its own.
    public static let processFailure = DescentError.Code("processFailure")
    /// Other processes have not come within the time limit.
    public static let processTimeout = DescentError.Code("processTimeout")
}
