public import DescentDistributed
import SeededNumbers

/// What goes wrong between ranks, chosen by a seed.
public struct Faults: Sendable, CustomStringConvertible {
    /// How long messages may take.
    public var longestDelay = Duration.zero
    /// How long messages take for their bytes besides; nil where that is not the point.
    public var link: LinkSpeed?
    /// Which message never arrives, counted over all ranks as they are sent; nil for none.
    public var lostMessage: Int?
    /// Which rank stops taking part, and at which of its calls; nil for none.
    public var death: (rank: Int, call: Int)?
    /// What delays are chosen by.
    var seed: UInt64 = 0

    /// Nothing goes wrong.
    public static let none = Faults()

    /// Chooses faults: delays, by which messages overtake each other; losses; deaths; and delays with one of these.
    ///
    /// - Parameters:
    ///   - seed: What chooses.
    ///   - ranks: The number of ranks.
    ///   - calls: About how often each rank calls its communicator.
    public init(seed: UInt64, ranks: Int, calls: Int) {
        self.seed = seed
        var generator = SeededGenerator(seed: seed)
        if seed % 5 != 1, seed % 5 != 2 { longestDelay = .microseconds(Int.random(in: 50...1_500, using: &generator)) }
        if seed % 5 == 1 || seed % 5 == 3 { lostMessage = Int.random(in: 0..<calls * ranks, using: &generator) }
        if seed % 5 == 2 || seed % 5 == 4 {
            death = (Int.random(in: 0..<ranks, using: &generator), Int.random(in: 0..<2 * calls, using: &generator))
        }
    }

    private init() {}

    /// Whether every rank has to end well.
    public var isHarmless: Bool { lostMessage == nil && death == nil }

    /// How long the next message takes.
    func delay(of byteCount: Int, _ generator: inout SeededGenerator) -> Duration {
        let onLink = link.map { Duration.seconds($0.latency + Double(byteCount) / $0.bandwidth) } ?? .zero
        return longestDelay == .zero
            ? onLink : onLink + longestDelay * Double.random(in: 0...1, using: &generator)
    }

    public var description: String {
        "delays up to \(longestDelay), lost: \(lostMessage.map(String.init) ?? "none"), "
            + "death: \(death.map { "rank \($0.rank) at call \($0.call)" } ?? "none")"
    }
}
