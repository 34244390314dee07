import DescentCore

/// The exchange of one pipeline's gradients: its buckets, and how far each has come.
///
/// A window goes this way on every rank:
///
///     begin        announce the window: what it weighs, how it is stored, what the pipeline is set to
///     contribute   fill buckets; once all announcements are here, send those that are full, sum and send back
///     collect      wait for all buckets
///     settle       announce what becomes of the step; only if all ranks do the same, is anything written
///
/// A rank with an error goes the same way to the end, with whatever it has, and then says that it fails: the others are
/// not left waiting, and throw before they have written anything.
///
/// It belongs to one stage, whose calls come from one thread at a time; that makes it safe to hand to another.
final class AllReduceExchange: @unchecked Sendable {
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
    private let group: ProcessGroup
    private let channels: (scattering: Channel, gathering: Channel)
    private let number: UInt64
    private let setup: PipelineSetup
    private let setupDigest: UInt64
    private let setupLength: Int
    private let layout: ParameterLayout
    /// How many elements move together.
    let bucketLength: Int
    private let plan: BucketPlan
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
    /// How many of those are on their way back, or further.
    private var gathered = 0

    /// Connects to the other ranks; or, as a change of an exchange that has done so, leaves it to the next step to find out
    /// whether they have changed alike.
    ///
    /// - Throws: `DescentError` with code `processMismatch` if they train something else.
    init(
        of parameters: [Int], in layout: ParameterLayout, as setup: PipelineSetup, over group: ProcessGroup,
        _ settings: AllReduce.Settings, following former: AllReduceExchange?
    ) throws(DescentError) {
        var setup = setup
        setup.add(
            layout,
            exchangedBy: PipelineSetup.Component(
                "AllReduce",
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
        if let length = settings.bucketLength {
            bucketLength = length
        } else {
            bucketLength = try group.measuredLink().bucketLength(
                of: parameters.reduce(0) { $0 + layout[$1].count }, movingAs: (settings.movingAs ?? .float32).byteCount,
                among: group.rankCount)
        }
        plan = BucketPlan(parameters, of: layout, bucketLength: bucketLength)
        buckets = plan.lengths.map { Bucket(length: $0, in: group) }
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
        (scattered, gathered) = (0, 0)
        window = AnnouncedWindow()
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
        try gradients.withBytes(of: parameter) { bytes in
            for segment in plan.segments[parameter] {
                let part = segment.elements.lowerBound * size..<segment.elements.upperBound * size
                buckets[segment.bucket].fill(
                    UnsafeRawBufferPointer(rebasing: bytes[part]), storedAs: type, at: segment.offset)
            }
        }
        // Nothing is sent before all ranks are known to want the same.
        if let announced, try !announced.isDone { return }
        try takeAnnouncements()
        guard isWanted else { return }
        try scatterFull()
        while gathered < scattered, try buckets[gathered].isDone { try gatherNext() }
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

    /// Makes sure that all ranks are about to do the same.
    func settle(_ decision: StepDecision) throws(DescentError) {
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
        if phase != .refused { group.tell(Announcement(.failing, because: error)) }
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
        while gathered < buckets.count {
            try buckets[gathered].wait()
            try gatherNext()
        }
        for bucket in buckets { try bucket.wait() }
    }

    private func scatterFull() throws(DescentError) {
        while scattered < buckets.count, buckets[scattered].isFull {
            try buckets[scattered].scatter(on: channels.scattering)
            scattered += 1
        }
    }

    private func gatherNext() throws(DescentError) {
        buckets[gathered].addUp(window.factors)
        try buckets[gathered].gather(on: channels.gathering)
        gathered += 1
    }

    // MARK: What ranks say of their windows

    /// Waits for what the ranks have to say of their gradients, and learns from it what becomes of them.
    private func takeAnnouncements() throws(DescentError) {
        guard let pending = announced else { return }
        announced = nil
        do throws(DescentError) {
            let announcements = try pending.wait()
            try group.compare(setup, announcements)
            window = try AnnouncedWindow(announcements, settings.reduction)
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
