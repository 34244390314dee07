import DescentCore

/// What becomes of a window, from what all ranks have said of theirs.
struct AnnouncedWindow {
    /// What the gradients of each rank are multiplied by; nil where they hold nothing.
    private(set) var factors: [Float?] = []
    /// The rank whose reason to skip the step is given, if one has one.
    private(set) var skippingRank: Int?
    /// For each rank, the length of its reason to skip the step.
    private(set) var reasonLengths: [Int] = []
    /// Whether weights count, and come to 0.
    private(set) var isWeightless = false

    /// Forgets the last window; of this one nothing is known yet.
    mutating func reset() {
        factors.removeAll(keepingCapacity: true)
        reasonLengths.removeAll(keepingCapacity: true)
        (skippingRank, isWeightless) = (nil, false)
    }

    /// Puts together what ranks have said.
    ///
    /// - Throws: `DescentError` with code `processMismatch` if their gradients are not stored alike.
    mutating func read(_ announcements: [Announcement], _ reduction: AllReduce.Reduction) throws(DescentError) {
        reset()
        try Self.requireSameElementTypes(announcements)
        let weights = announcements.reduce(0) { $0 + $1.weight }
        isWeightless = weights == 0 && reduction == .weighted
        // Where weights count, a rank whose window holds nothing weighs 0; all that is needed is one that weighs more.
        let allowsEmpty = reduction == .weighted && weights > 0
        // An overflow counts for more than an empty window: the loss scale backs off for it, on all ranks.
        skippingRank =
            announcements.firstIndex { $0.reasonLength > 0 && !$0.isEmpty }
            ?? announcements.firstIndex { $0.reasonLength > 0 && !allowsEmpty }
        for announcement in announcements {
            reasonLengths.append(announcement.reasonLength)
            let factor = Double(announcement.factor)
            let share =
                switch reduction {
                case .mean: Float(factor / Double(announcements.count))
                case .sum: announcement.factor
                case .weighted: Float(factor * (announcement.weight / weights))
                }
            factors.append(announcement.isEmpty ? nil : share)
        }
    }

    private static func requireSameElementTypes(_ announcements: [Announcement]) throws(DescentError) {
        guard let rank = announcements.firstIndex(where: { $0.secondDigest != announcements[0].secondDigest }) else {
            return
        }
        let types = [announcements[rank], announcements[0]].map { ElementType(code: $0.secondDigest)?.rawValue ?? "?" }
        throw DescentError(
            .processMismatch,
            "The gradients of rank \(rank) are \(types[0]), those of rank 0 \(types[1]). All ranks have to hand over gradients "
                + "of the same type.")
    }
}

extension ElementType {
    /// A number for the type, the same on all ranks.
    var code: UInt64 {
        var digest = Digest()
        digest.add(rawValue)
        return digest.value
    }

    fileprivate init?(code: UInt64) {
        guard let type = Self.allCases.first(where: { $0.code == code }) else { return nil }
        self = type
    }
}

extension SkipReason {
    /// The reason as bytes.
    var bytes: [UInt8] {
        var writer = ByteWriter()
        writer.write(code.description)
        writer.write(parameter)
        writer.write(stage)
        writer.write(description)
        return writer.bytes
    }

    /// Reads what another rank has written; nil if that is no reason.
    init?(reading bytes: [UInt8]) {
        var reader = ByteReader(bytes)
        guard let name = reader.text(), let parameter = reader.optionalText(), let stage = reader.optionalText(),
            let description = reader.text()
        else { return nil }
        let codes: [Code] = [.nonFinite, .vetoed, .emptyWindow, .nonFiniteSetting, .overflow]
        let code = codes.first { $0.description == name } ?? .vetoed
        self.init(code, parameter: parameter, stage: stage, description)
    }
}
