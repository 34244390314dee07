import Descent
import DescentDistributed
import Testing

/// What the guide to several machines says of bytes; `DocumentationTests` runs its programs.
@Suite struct SeveralMachinesTests {
    /// The parameters of GPT-2's small model.
    private static let elementCount = 124_439_808

    /// The rows that `descent-bench gpt2-small --ranks 1,2,4` has printed.
    private let rows: [[String]]

    init() throws {
        rows = try Markdown("\(Documentation.catalog)/SeveralMachines.md").table("model")
    }

    @Test func `the table of bytes has jobs of three sizes, in two types, with state everywhere and divided`() {
        #expect(rows.count == 12)
        #expect(Set(rows.map { $0[1...3].joined(separator: " ") }).count == 12)
        #expect(rows.allSatisfy { $0[0] == "gpt2-small" && $0.count == 7 })
    }

    @Test func `what was counted is what is reckoned, and as little as can be`() throws {
        for row in rows {
            let (ranks, type) = try (#require(Int(row[1])), #require(ElementType(rawValue: row[2])))
            let (sent, least, state) = try (#require(Int(row[4])), #require(Int(row[5])), #require(Int(row[6])))
            let isDivided = row[3] == "state divided"
            let costs = ExchangeCosts(
                elementCount: Self.elementCount, rankCount: ranks, gradientType: type, movingAs: isDivided ? nil : type)
            #expect(least == costs.leastBytes)
            if isDivided {
                // Shards of uneven lengths are padded, and norms are exchanged.
                #expect((least...least + least / 100 + 10_000).contains(sent), "\(row)")
                #expect(state <= 8 * Self.elementCount / ranks * 101 / 100, "\(row)")
            } else {
                #expect(sent == costs.sentBytes + costs.announcedBytes, "\(row)")
                #expect(state == 8 * Self.elementCount)
            }
        }
    }

    @Test func `the table of what is hidden has two and four ranks, and links from slow to unlimited`() throws {
        let measured = try Markdown("\(Documentation.catalog)/SeveralMachines.md").table("ranks")
        #expect(Set(measured.map { $0[0] }) == ["2", "4"])
        #expect(Set(measured.map { $0[1] }) == ["unlimited", "10gbit", "1gbit", "100mbit"])
        for row in measured {
            let ranks = try #require(Int(row[0]))
            let sent = ExchangeCosts(elementCount: 48 * 256 * 512, rankCount: ranks).sentBytes
            #expect(row[3] == "\(sent / 1_000_000) MB")
        }
    }
}
