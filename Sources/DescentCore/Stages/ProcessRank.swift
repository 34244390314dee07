/// One of several processes that train together.
public struct ProcessRank: Codable, Sendable, Hashable, CustomStringConvertible {
    /// Its number, from 0.
    public let rank: Int
    /// How many processes there are.
    public let rankCount: Int

    /// Numbers a process.
    public init(_ rank: Int, of rankCount: Int) {
        self.rank = rank
        self.rankCount = rankCount
    }

    /// "process 0 of 4".
    public var description: String { "process \(rank) of \(rankCount)" }
}
