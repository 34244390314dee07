import DescentCore

/// The exchange of one pipeline's gradients: its buckets, and how far each has come.
///
/// A window goes this way on every rank; where ranks work on rows of their own, so does every micro-batch:
///
///     begin        announce the window: what it weighs, how it is stored, what the pipeline is set to
///     contribute   fill buckets; once all announcements are here, send those that are full, sum and send back
///     collect      wait for all buckets
///     settle       announce what becomes of the step; only if all ranks do the same, is anything written
///
/// Sums of a rank's own rows are not sent back: what is made of them is, by `gatherRows`.
///
/// A rank with an error goes the same way to the end, with whatever it has, and then says that it fails: the others are
/// not left waiting, and throw before they have written anything.
///
/// It belongs to one stage, whose calls come from one thread at a time; that makes it safe to hand to another.
final class WindowExchange: @unchecked Sendable {
    /// How far a window has come.
    private enum Phase {
        /// No window is open.
        case closed
        /// The other ranks have been told of one.
        case begun
        /// Its gradients have been summed.
        case collected
        /// All ranks have thrown for it.
        case refused
    }

    // Unchecked because one pipeline uses it, from one thread at a time.
    let group: ProcessGroup
    let channels: (scattering: Channel, gathering: Channel)
    let number: UInt64
    private let setup: PipelineSetup
    private let setupDigest: UInt64
    private let setupLength: Int
    private let layout: ParameterLayout
    /// Which rows each rank works on; nil where each works on all.
    let division: RowDivision?
    /// How many elements move together.
    let bucketLength: Int
    let plan: BucketPlan
    /// For each bucket, its segments: this rank's own rows, and those of others; empty where ranks work on all rows.
    let segments: (own: [[BucketPlan.Segment]], others: [[BucketPlan.Segment]])
    let pool: BucketPool
    private let buckets: [Bucket]
    private let settings: AllReduce.Settings

    private var phase = Phase.closed
    /// The digests of the parameters, until those of all ranks have been compared.
    private var parameterDigests: [UInt64]?
    /// Whether the parameters of all ranks have been compared.
    private var hasCompared = false
    private var elementType = ElementType.float32
    private var skipReason: SkipReason?
    private var announced: PendingAnnouncements?
    /// What all ranks have said of the window.
    private var window = AnnouncedWindow()
    /// How many buckets are on their way to the ranks that sum them, or further.
    private var scattered = 0
    /// How many of those have been summed, and are on their way back where ranks work on all rows.
    private var summed = 0
    /// How many buckets may have memory at a time, where they leave it to others once they are summed.
    private static let bucketsInUse = 4
    /// What has gone wrong where no error could be thrown, in the middle of a step.
    var failure: DescentError?
    /// What all ranks' gradients weigh together.
    private(set) var weight = 1.0

    /// Connects to the other ranks; or, as a change of an exchange that has done so, leaves it to the next step to find out
    /// whether they have changed alike.
    ///
    /// - Throws: `DescentError` with code `processMismatch` if they train something else.
    init(
        of parameters: [Int], in layout: ParameterLayout, as setup: PipelineSetup, over group: ProcessGroup,
        _ settings: AllReduce.Settings, dividing division: RowDivision? = nil, following former: WindowExchange?
    ) throws(DescentError) {
        var setup = setup
        setup.add(
            layout,
            exchangedBy: PipelineSetup.Component(
                division == nil ? "AllReduce" : "Sharding",
                settings: settings.descriptions + [
                    "parameters = \(parameters.map { layout[$0].name }.joined(separator: ", "))"
                ]))
        if let former {
            (number, channels) = (former.number, former.channels)
            hasCompared = former.hasCompared && former.layout == layout
        } else {
            number = try group.connect(setup)
            channels = (try group.openChannel(), try group.openChannel())
        }
        (self.group, self.layout, self.setup, self.settings) = (group, layout, setup, settings)
        (setupDigest, setupLength) = (setup.digest, setup.byteCount)
        let elementCount = parameters.reduce(0) { $0 + layout[$1].count }
        var bucketLength = settings.bucketLength ?? 0
        if settings.bucketLength == nil {
            bucketLength = try group.bucketLength(
                of: elementCount, movingAs: (settings.movingAs ?? .float32).byteCount)
        }
        (self.division, self.bucketLength) = (division, bucketLength)
        let plan =
            division.map { BucketPlan(parameters, of: layout, dividedBy: $0, bucketLength: bucketLength) }
            ?? BucketPlan(parameters, of: layout, among: group.rankCount, bucketLength: bucketLength)
        let longest = plan.shardLengths.max() ?? 0
        let pool = BucketPool(byteCount: longest * group.rankCount * ElementType.float32.byteCount)
        buckets = plan.lengths.indices.map {
            Bucket(length: plan.lengths[$0], shardLength: plan.shardLengths[$0], in: group, pool)
        }
        (self.plan, self.pool) = (plan, pool)
        let (all, rank) = (division == nil ? [] : plan.segmentsOfBuckets, group.rank)
        segments = (
            all.map { $0.filter { plan.rank(of: $0) == rank } }, all.map { $0.filter { plan.rank(of: $0) != rank } }
        )
    }

    /// Begins the exchange of a window by telling the other ranks of it.
    func begin(_ contribution: Contribution) throws(DescentError) {
        var announcement = Announcement(.step, exchange: number, digest: setupDigest)
        announcement.secondDigest = contribution.elementType.code
        skipReason = contribution.skipReason
        announcement.isEmpty = skipReason?.code == .emptyWindow
        announcement.factor = contribution.factor
        announcement.weight = announcement.isEmpty ? 0 : contribution.weight
        announcement.setupLength = setupLength
        announcement.reasonLength = skipReason.map { $0.bytes.count } ?? 0
        announced = try group.announce(announcement)
        phase = .begun
        group.openExchange = self
        elementType = contribution.elementType
        let movingType = settings.movingAs ?? elementType
        for bucket in buckets { bucket.reset(movingType, sumsAs: settings.movingAs ?? .float32) }
        (scattered, summed) = (0, 0)
        window.reset()
    }

    /// Fills one parameter's gradient into buckets, and moves on whatever can be.
    func contribute(_ gradients: some TensorStorage, of parameter: Int) throws(DescentError) {
        let (size, type) = (elementType.byteCount, elementType)
        guard gradients.elementType == type else {
            throw DescentError(
                .elementTypeMismatch, parameter: layout[parameter].name,
                "The gradient of \"\(layout[parameter].name)\" is \(gradients.elementType), but those before it are "
                    + "\(type).")
        }
        try gradients.withBytes(of: parameter) { (bytes) throws(DescentError) in
            for segment in plan.segments[parameter] {
                let part = segment.elements.lowerBound * size..<segment.elements.upperBound * size
                buckets[segment.bucket].fill(
                    UnsafeRawBufferPointer(rebasing: bytes[part]), storedAs: type, at: segment.offset)
                if isShortOfMemory { try moveOn() }
            }
        }
        try moveOn()
    }

    /// Moves on whatever can be.
    private func moveOn() throws(DescentError) {
        // Nothing is sent before all ranks are known to want the same.
        if let announced, try !announced.isDone, !isShortOfMemory { return }
        try takeAnnouncements()
        guard isWanted else { return }
        try scatterFull()
        while summed < scattered {
            if !isShortOfMemory, try !buckets[summed].isDone { return }
            try sumNext()
        }
    }

    /// Whether so many buckets have memory that it is better to wait for some of them than to fill more.
    ///
    /// Every rank sums what it has sent in the same order, so that waiting for one of those keeps no other rank waiting.
    private var isShortOfMemory: Bool {
        division != nil && buckets[summed...].prefix(2 * Self.bucketsInUse).count { $0.isInUse } > Self.bucketsInUse
    }

    /// Notes the parameters, for all ranks to compare before the first of them is changed.
    func compare(_ parameters: some TensorStorage) throws(DescentError) {
        if !hasCompared { parameterDigests = try parameters.digests }
    }

    /// Waits for all buckets and writes down what they hold.
    func collect(into gradients: inout some TensorStorage) throws(DescentError) -> SkipReason? {
        try takeAnnouncements()
        defer { if phase == .begun { phase = .collected } }
        if let rank = window.skippingRank { return try reason(of: rank) }
        guard !window.isWeightless else {
            return SkipReason(.emptyWindow, "the gradients of all ranks weigh 0")
        }
        try moveAll()
        if let division { return try collectRows(of: division, into: &gradients) }
        for segments in plan.segments {
            guard let parameter = segments.first?.parameter else { continue }
            try gradients.withMutableBytes(of: parameter) { bytes in
                for segment in segments {
                    buckets[segment.bucket].copyGathered(
                        at: segment.offset, to: bytes.part(segment.elements, ElementType.float32.byteCount))
                }
            }
        }
        return nil
    }

    /// Writes down the sums of this rank's rows.
    private func collectRows(
        of division: RowDivision, into gradients: inout some TensorStorage
    ) throws(DescentError) -> SkipReason? {
        let size = ElementType.float32.byteCount
        for segment in segments.own.joined() {
            let first = division.own[segment.parameter].lowerBound * layout[segment.parameter].columnCount
            let bucket = buckets[segment.bucket]
            let start = segment.offset - group.rank * bucket.shardLength
            let sums = bucket.shard.part(start..<start + segment.elements.count, size)
            let rows = segment.elements.lowerBound - first..<segment.elements.upperBound - first
            try gradients.withMutableBytes(of: segment.parameter) { bytes in
                bytes.part(rows, size).copyMemory(from: UnsafeRawBufferPointer(sums))
            }
        }
        return nil
    }

    /// Makes sure that all ranks are about to do the same.
    func settle(_ decision: StepDecision) throws(DescentError) {
        try requireGathered()
        close()
        let digests = parameterDigests ?? []
        parameterDigests = nil
        let digest = digests.isEmpty ? 0 : Digest(of: digests.withUnsafeBytes { Array($0) }).value
        let areCompared = try group.settle(decision, exchange: number, parameters: digest) { () throws(DescentError) in
            try group.compare(digests, of: layout)
        }
        if areCompared { hasCompared = true }
    }

    /// Gives every rank the tensors that one of them has worked on.
    func share(
        _ tensors: inout some TensorStorage, of parameters: [Int], from workers: [Int]
    ) throws(DescentError) {
        do throws(DescentError) {
            try group.agree(on: Announcement(.share, exchange: number))
        } catch {
            phase = .refused
            throw error
        }
        for parameter in parameters {
            try tensors.withMutableBytes(of: parameter) { (bytes) throws(DescentError) in
                try group.broadcast(bytes, from: workers[parameter])
            }
        }
    }

    /// Tells the other ranks of an error, unless all have thrown for the same one.
    func abandon(_ error: DescentError) {
        let phase = phase
        if phase == .begun {
            // The others wait for this rank's part of every bucket: they get what there is, and throw when they learn.
            do throws(DescentError) {
                try takeAnnouncements()
                if let rank = window.skippingRank { _ = try reason(of: rank) }
                for bucket in buckets { bucket.fillUp() }
                if isWanted { try moveAll() }
            } catch { return close() }
        }
        if phase != .refused, failure == nil { group.tell(Announcement(.failing, because: error)) }
        failure = nil
        close()
    }

    private func close() {
        phase = .closed
        if group.openExchange === self { group.openExchange = nil }
    }

    /// Whether gradients are exchanged at all: no rank has a reason to skip, and they weigh something.
    private var isWanted: Bool { window.skippingRank == nil && !window.isWeightless }

    // MARK: Buckets

    /// Moves all buckets, and waits for them.
    private func moveAll() throws(DescentError) {
        try scatterFull()
        stopUnless(scattered == buckets.count, "Not every gradient has been contributed.")
        while summed < buckets.count { try sumNext() }
        for bucket in buckets { try bucket.wait() }
    }

    private func scatterFull() throws(DescentError) {
        while scattered < buckets.count, buckets[scattered].isFull {
            try buckets[scattered].scatter(on: channels.scattering)
            scattered += 1
        }
    }

    private func sumNext() throws(DescentError) {
        let bucket = buckets[summed]
        try bucket.wait()
        bucket.addUp(window.factors)
        if division == nil {
            try bucket.gather(on: channels.gathering)
        } else {
            bucket.release()
        }
        summed += 1
    }

    // MARK: What ranks say of their windows

    /// Waits for what the ranks have to say of their gradients, and learns from it what becomes of them.
    private func takeAnnouncements() throws(DescentError) {
        guard let pending = announced else { return }
        announced = nil
        do throws(DescentError) {
            let announcements = try pending.wait()
            try group.compare(setup, announcements)
            try window.read(announcements, settings.reduction)
            weight = announcements.reduce(0) { $0 + $1.weight }
        } catch {
            phase = .refused
            throw error
        }
    }

    /// Why a rank wants the step skipped, which it tells the others.
    private func reason(of rank: Int) throws(DescentError) -> SkipReason {
        let bytes = try group.broadcast(
            skipReason?.bytes ?? [], count: window.reasonLengths[rank], from: rank)
        guard let reason = SkipReason(reading: bytes) else {
            throw DescentError(.processMismatch, "Rank \(rank) sent a reason that cannot be read.")
        }
        return SkipReason(
            reason.code, parameter: reason.parameter, stage: reason.stage, "on rank \(rank): \(reason.description)")
    }
}

extension UnsafeMutableRawBufferPointer {
    /// The bytes of some elements, of a size.
    func part(_ elements: Range<Int>, _ size: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: self[elements.lowerBound * size..<elements.upperBound * size])
    }
}
