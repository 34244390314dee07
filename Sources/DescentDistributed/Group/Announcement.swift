/// What a rank tells the others before it does something that concerns them all.
struct Announcement {
    /// What it is about to do.
    enum Action: UInt64 {
        case barrier = 1
        case broadcast
        case connect
        case step
        case share
        case update
        case skip
        case accumulate
        case failing
        case leaving

        var phrase: String {
            switch self {
            case .barrier: "waits at a barrier"
            case .broadcast: "broadcasts"
            case .connect: "builds a pipeline"
            case .step: "steps a pipeline"
            case .share: "shares whole tensors"
            case .update: "is about to update parameters"
            case .skip: "is about to skip a step"
            case .accumulate: "is about to add to a window"
            case .failing: "takes no part in a step"
            case .leaving: "has come to its end"
            }
        }
    }

    /// The version of announcements, which changes with what they hold.
    private static let version: UInt64 = 3
    private static let headCount = 11
    /// How many words hold a text, eight bytes each.
    private static let textCount = 32
    static let byteCount = (headCount + textCount) * 8

    var action: Action
    /// Which pipeline it concerns, in the order in which they were built.
    var exchange: UInt64 = 0
    /// What all ranks have to agree on.
    var digest: UInt64 = 0
    /// What else they have to agree on.
    var secondDigest: UInt64 = 0
    /// What the rank's gradients are to be multiplied by.
    var factor: Float = 1
    /// The weight of its window.
    var weight = 1.0
    /// How many bytes the rank takes to describe its pipeline.
    var setupLength = 0
    /// The length of the reason why it objects to the step; 0 if it does not.
    var reasonLength = 0
    /// Whether its window holds nothing.
    var isEmpty = false
    /// Whether it has an error to tell of.
    var isError = false
    /// Why it fails, cut to what there is room for.
    var text = ""

    init(_ action: Action, exchange: UInt64 = 0, digest: UInt64 = 0) {
        self.action = action
        self.exchange = exchange
        self.digest = digest
    }

    /// Tells of an error.
    init(_ action: Action, because error: any Error) {
        self.init(action)
        isError = true
        text = "\(error)"
    }

    /// Writes it down as ``byteCount`` bytes.
    func write(to memory: UnsafeMutableRawPointer) {
        let bytes = text.utf8.prefix(Self.textCount * 8)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: Self.byteCount)
        func write(_ word: UInt64, at index: Int) {
            memory.storeBytes(of: word.littleEndian, toByteOffset: index * 8, as: UInt64.self)
        }
        write(Self.version << 32 | action.rawValue, at: 0)
        write(exchange, at: 1)
        write(digest, at: 2)
        write(secondDigest, at: 3)
        write(UInt64(factor.bitPattern), at: 4)
        write(weight.bitPattern, at: 5)
        write(UInt64(setupLength), at: 6)
        write(UInt64(reasonLength), at: 7)
        write(isEmpty ? 1 : 0, at: 8)
        write(isError ? 1 : 0, at: 9)
        write(UInt64(bytes.count), at: 10)
        for (index, byte) in bytes.enumerated() {
            memory.storeBytes(of: byte, toByteOffset: Self.headCount * 8 + index, as: UInt8.self)
        }
    }

    /// Reads what another rank has written; nil if it is no announcement of this version.
    init?(reading memory: UnsafeRawPointer) {
        func word(_ index: Int) -> UInt64 {
            UInt64(littleEndian: memory.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
        }
        guard word(0) >> 32 == Self.version, let action = Action(rawValue: word(0) & 0xffff_ffff) else { return nil }
        self.init(action, exchange: word(1), digest: word(2))
        secondDigest = word(3)
        factor = Float(bitPattern: UInt32(truncatingIfNeeded: word(4)))
        weight = Double(bitPattern: word(5))
        setupLength = Int(truncatingIfNeeded: word(6))
        reasonLength = Int(truncatingIfNeeded: word(7))
        isEmpty = word(8) != 0
        isError = word(9) != 0
        let count = Int(min(word(10), UInt64(Self.textCount * 8)))
        text = String(
            decoding: UnsafeRawBufferPointer(start: memory + Self.headCount * 8, count: count), as: UTF8.self)
    }

    /// What the rank does, in words, with the number of the pipeline.
    var phrase: String { exchange > 0 ? "\(action.phrase) (number \(exchange))" : action.phrase }
}
