import CMPI
import DescentCore
import Foundation

/// The exchange of one pipeline's gradients: its buckets, and how far each has come.
///
/// Buckets move in two collective operations, each kind over a communicator of its own, because MPI matches operations
/// by their order on each: all ranks begin them in the order of buckets, however the two kinds come to be mixed.
///
/// It belongs to one stage, whose calls come from one thread at a time; that makes it safe to hand to another.
final class AllReduceExchange: @unchecked Sendable {
    // Unchecked because one pipeline uses it, from one thread at a time.
    private let communicator: Communicator
    private let scattering: MPI_Comm
    private let gathering: MPI_Comm
    private let number: UInt64
    private let layout: ParameterLayout
    private let plan: BucketPlan
    private let buckets: [Bucket]
    private let reduction: AllReduce.Reduction

    /// Whether the other ranks have been told of a window that has not been collected.
    private var isOpen = false
    /// Whether the parameters of all ranks have been compared.
    private var hasCompared = false
    private var elementType = ElementType.float32
    private var skipReason: SkipReason?
    private var announced: PendingAnnouncements?
    private var announcements: [Announcement] = []
    private var weights = 0.0
    private var factors: [Float?] = []
    /// The rank whose reason to skip the step is given, if one has one.
    private var skippingRank: Int?
    /// How many buckets are on their way to the ranks that sum them, or further.
    private var scattered = 0
    /// How many of those are on their way back, or further.
    private var gathered = 0

    /// Connects to the other ranks.
    ///
    /// - Throws: `DescentError` with code `processMismatch` if they train something else.
    init(
        of parameters: [Int], in layout: ParameterLayout, as setup: PipelineSetup, over communicator: Communicator,
        reduction: AllReduce.Reduction, bucketLength: Int
    ) throws(DescentError) {
        var setup = setup
        setup.add(
            layout,
            exchangedBy: PipelineSetup.Component(
                "AllReduce",
                settings: [
                    "reduction = \(reduction)", "bucketLength = \(bucketLength)",
                    "parameters = \(parameters.map { layout[$0].name }.joined(separator: ", "))",
                ]))
        number = try communicator.connect(setup)
        scattering = Communicator.duplicate(communicator.handle)
        gathering = Communicator.duplicate(communicator.handle)
        self.communicator = communicator
        self.layout = layout
        self.reduction = reduction
        plan = BucketPlan(parameters, of: layout, bucketLength: bucketLength)
        buckets = plan.lengths.map { Bucket(length: $0, rankCount: communicator.size) }
    }

    /// Begins the exchange of a window by telling the other ranks of it.
    func begin(_ contribution: Contribution) {
        var digest = Digest()
        digest.add(contribution.elementType.rawValue)
        var announcement = Announcement(.step, exchange: number, digest: digest.value)
        skipReason = contribution.skipReason
        announcement.isEmpty = skipReason?.code == .emptyWindow
        announcement.factor = contribution.factor
        announcement.weight = announcement.isEmpty ? 0 : contribution.weight
        announcement.reasonLength = skipReason.map { encoded($0).count } ?? 0
        announced = communicator.announce(announcement)
        isOpen = true
        elementType = contribution.elementType
        for bucket in buckets { bucket.reset(elementType) }
        (scattered, gathered) = (0, 0)
        skippingRank = nil
    }

    /// Fills one parameter's gradient into buckets, and moves on whatever can be.
    func contribute(_ gradients: some TensorStorage, of parameter: Int) throws(DescentError) {
        let size = elementType.byteCount
        guard gradients.elementType == elementType else {
            throw DescentError(
                .elementTypeMismatch, parameter: layout[parameter].name,
                "The gradient of \"\(layout[parameter].name)\" is \(gradients.elementType), but those before it are "
                    + "\(elementType).")
        }
        try gradients.withBytes(of: parameter) { bytes in
            for segment in plan.segments[parameter] {
                let part = segment.elements.lowerBound * size..<segment.elements.upperBound * size
                buckets[segment.bucket].fill(UnsafeRawBufferPointer(rebasing: bytes[part]), at: segment.offset)
            }
        }
        // Nothing is sent before all ranks are known to want the same.
        if let announced, !announced.isDone { return }
        try takeAnnouncements()
        guard isWanted else { return }
        scatterFull()
        while gathered < scattered, buckets[gathered].isDone { gatherNext() }
    }

    /// Compares the parameters of all ranks, once.
    func compare(_ parameters: some TensorStorage) throws(DescentError) {
        try takeAnnouncements()
        guard !hasCompared else { return }
        do throws(DescentError) { try communicator.compare(parameters) } catch {
            isOpen = false
            // Some ranks may have sent buckets already. All have to begin the same operations, or the next do not match.
            if isWanted { try moveAll() }
            throw error
        }
        hasCompared = true
    }

    /// Tells the other ranks of an error, unless they have been told of the window before.
    func abandon(_ error: DescentError) {
        if !isOpen { communicator.announceFailure(error) }
    }

    /// Waits for all buckets and writes down what they hold.
    func collect(into gradients: inout some TensorStorage) throws(DescentError) -> SkipReason? {
        defer { isOpen = false }
        try takeAnnouncements()
        if let skippingRank { return reason(of: skippingRank) }
        if weights == 0, reduction == .weighted {
            return SkipReason(.emptyWindow, "the gradients of all ranks weigh 0")
        }
        try moveAll()
        for segments in plan.segments {
            guard let parameter = segments.first?.parameter else { continue }
            try gradients.withMutableBytes(of: parameter) { bytes in
                for segment in segments {
                    let part = segment.elements.lowerBound * 4..<segment.elements.upperBound * 4
                    buckets[segment.bucket].copyGathered(
                        at: segment.offset, to: UnsafeMutableRawBufferPointer(rebasing: bytes[part]))
                }
            }
        }
        return nil
    }

    /// Whether gradients are exchanged at all: no rank has a reason to skip, and they weigh something.
    private var isWanted: Bool { skippingRank == nil && !(weights == 0 && reduction == .weighted) }

    /// Moves all buckets, and waits for them.
    private func moveAll() throws(DescentError) {
        scatterFull()
        stopUnless(scattered == buckets.count, "Not every gradient has been contributed.")
        while gathered < buckets.count {
            try buckets[gathered].wait(communicator)
            gatherNext()
        }
        for bucket in buckets { try bucket.wait(communicator) }
    }

    private func scatterFull() {
        while scattered < buckets.count, buckets[scattered].isFull {
            buckets[scattered].scatter(over: scattering)
            scattered += 1
        }
    }

    private func gatherNext() {
        buckets[gathered].addUp(factors)
        buckets[gathered].gather(over: gathering)
        gathered += 1
    }

    /// Waits for what the ranks have to say of their gradients, and learns from it what becomes of them.
    private func takeAnnouncements() throws(DescentError) {
        guard let pending = announced else { return }
        announced = nil
        do throws(DescentError) { announcements = try pending.wait() } catch {
            isOpen = false
            throw error
        }
        weights = announcements.reduce(0) { $0 + $1.weight }
        // Where weights count, a rank whose window holds nothing weighs 0; all that is needed is one that weighs more.
        let allowsEmpty = reduction == .weighted && weights > 0
        // An overflow counts for more than an empty window: the loss scale backs off for it, on all ranks.
        skippingRank =
            announcements.firstIndex { $0.reasonLength > 0 && !$0.isEmpty }
            ?? announcements.firstIndex { $0.reasonLength > 0 && !allowsEmpty }
        factors = announcements.map { announcement in
            if announcement.isEmpty { return nil }
            let factor = Double(announcement.factor)
            return switch reduction {
            case .mean: Float(factor / Double(announcements.count))
            case .sum: announcement.factor
            case .weighted: Float(factor * (announcement.weight / weights))
            }
        }
    }

    /// Why a rank wants the step skipped, which it tells the others.
    private func reason(of rank: Int) -> SkipReason {
        var bytes = skipReason.map(encoded) ?? []
        if rank != communicator.rank { bytes = [UInt8](repeating: 0, count: announcements[rank].reasonLength) }
        bytes.withUnsafeMutableBytes { communicator.broadcast($0, from: rank) }
        guard let reason = try? JSONDecoder().decode(SkipReason.self, from: Data(bytes)) else {
            stopForMisuse("Rank \(rank) sent a reason that cannot be read.")
        }
        return SkipReason(
            reason.code, parameter: reason.parameter, stage: reason.stage, "on rank \(rank): \(reason.description)")
    }

    private func encoded(_ reason: SkipReason) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        guard let data = try? encoder.encode(reason) else { stopForMisuse("A reason can always be encoded.") }
        return Array(data)
    }
}
