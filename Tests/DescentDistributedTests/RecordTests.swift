import SeededNumbers
import Testing

@testable import DescentDistributed

/// What ranks write down for each other.
@Suite struct RecordTests {
    @Test func `what is written is read again`() {
        var writer = ByteWriter()
        writer.write(UInt64.max)
        writer.write("größer")
        writer.write(String?.none)
        writer.write(String?.some(""))
        writer.write(["", "a", "bc"])
        var reader = ByteReader(writer.bytes)
        #expect(reader.number() == .max)
        #expect(reader.text() == "größer")
        #expect(reader.optionalText() == .some(.none))
        #expect(reader.optionalText() == .some(""))
        #expect(reader.texts() == ["", "a", "bc"])
        #expect(reader.number() == nil)
    }

    @Test func `whatever bytes are read, reading comes to an end`() {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<2_000 {
            // Mostly numbers that are small, as lengths are.
            let bytes = (0..<Int.random(in: 0...60, using: &generator)).map { index in
                index % 8 > 0 ? 0 : UInt8.random(in: 0...3, using: &generator)
            }
            var reader = ByteReader(bytes)
            switch UInt8.random(in: 0...2, using: &generator) {
            case 0: _ = reader.texts()
            case 1: while reader.text() != nil {}
            default: _ = reader.optionalText()
            }
        }
    }

    @Test(arguments: [0, 1, 256, 300])
    func `an announcement is read as it was written, its text cut to what there is room for`(length: Int) throws {
        var announcement = Announcement(.update, exchange: 3, digest: 5)
        announcement.secondDigest = 7
        announcement.factor = 0.25
        announcement.weight = -1e300
        (announcement.setupLength, announcement.reasonLength) = (11, 13)
        (announcement.isEmpty, announcement.isError) = (true, true)
        announcement.text = String(repeating: "a", count: length)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: Announcement.byteCount, alignment: 1)
        defer { memory.deallocate() }
        announcement.write(to: memory)
        let read = try #require(Announcement(reading: memory))
        announcement.text = String(announcement.text.prefix(256))
        #expect("\(read)" == "\(announcement)")
        memory.storeBytes(of: 0xff, as: UInt8.self)
        #expect(Announcement(reading: memory) == nil)
    }
}
