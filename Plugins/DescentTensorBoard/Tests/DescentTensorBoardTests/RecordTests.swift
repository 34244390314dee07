import DescentCore
import Foundation
import Testing

@testable import DescentTensorBoard

@Suite struct RecordTests {
    /// RFC 3720, section B.4, and the usual check value.
    @Test(
        arguments: [
            ([UInt8](repeating: 0, count: 32), 0x8a91_36aa),
            ([UInt8](repeating: 0xff, count: 32), 0x62a8_ab43),
            ([UInt8](0..<32), 0x46dd_794e),
            ([UInt8]((0..<32).reversed()), 0x113f_db5c),
            (Array("123456789".utf8), 0xe306_9283),
            ([], 0),
        ] as [([UInt8], UInt32)])
    func `checksums are those of the standard`(_ bytes: [UInt8], _ checksum: UInt32) {
        #expect(CRC32C.checksum(bytes) == checksum)
    }

    /// The expected bytes were made by TensorBoard's own writer, in Python.
    @Test func `records have the bytes that TensorBoard's own writer makes`() throws {
        let folder = try TemporaryFolder()
        let board = try TensorBoardWriter.stopped(folder)
        board.scalar("loss", 0.25, step: 300)
        var histogram = MagnitudeHistogram()
        for value: Float in [0.25, -1, 1.5, 0] { histogram.add(value) }
        board.histogram("h", histogram, step: 7)
        try board.close()
        let bytes = try Data(contentsOf: URL(fileURLWithPath: board.path))
        #expect(
            bytes.map { String(UInt16($0) | 0x100, radix: 16).dropFirst() }.joined() == """
                1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e457665\
                6e743a322a28646c\
                1b000000000000001a0d9e1309000000000000f83f10ac022a0d0a0b0a046c6f\
                7373150000803e9908deed\
                8500000000000000e98acc5909000000000000f83f10072a780a660a01682a61\
                0900000000000000c011000000000000f03f1900000000000008402100000000\
                0000e0bf2900000000000006403218000000000000f0bf000000000000000000\
                0000000000f03f3a18000000000000f03f000000000000000000000000000000\
                400a0e0a07682f7a65726f73150000803efb82866f
                """)
    }

    @Test func `a file that ends anywhere in its last record has all records before it`() throws {
        let folder = try TemporaryFolder()
        let board = try TensorBoardWriter.stopped(folder)
        for step in 1...3 { board.scalar("loss", Float(step), step: step) }
        let whole = try Data(contentsOf: URL(fileURLWithPath: board.path)).count
        board.scalar("the last", 4, step: 4)
        let bytes = try Array(Data(contentsOf: URL(fileURLWithPath: board.path)))
        #expect(bytes.count > whole + 16)
        for end in whole..<bytes.count {
            let reader = try EventReader(Array(bytes[..<end]))
            #expect(reader.scalars("loss") == [1: 1, 2: 2, 3: 3])
            #expect(reader.events.count == 4)
        }
        #expect(try EventReader(bytes).scalars("the last") == [4: 4])
    }

    @Test func `a record is handed to the system in one call, and is in the file before the next line`() throws {
        let folder = try TemporaryFolder()
        let calls = Counter()
        let board = try TensorBoardWriter.stopped(folder) { file, bytes, count, offset in
            calls.increment()
            return pwrite(file, bytes, count, offset)
        }
        for step in 1...5 {
            board.scalar("loss", 1, step: step)
            #expect(calls.value == step + 1)
            #expect(try EventReader(path: board.path).events.count == step + 1)
        }
    }

    @Test func `a run that goes on writes a file of its own`() throws {
        let folder = try TemporaryFolder()
        let boards = try (0..<3).map { _ in try TensorBoardWriter.stopped(folder) }
        for (index, board) in boards.enumerated() { board.scalar("run", Float(index), step: 1) }
        #expect(try folder.names.count == 3)
        #expect(try folder.names.allSatisfy { $0.hasPrefix("events.out.tfevents.1.") })
        for (index, board) in boards.enumerated() {
            #expect(try EventReader(path: board.path).scalars("run") == [1: Float(index)])
        }
    }

    @Test func `records of several threads are all there`() async throws {
        let folder = try TemporaryFolder()
        let board = try TensorBoardWriter.stopped(folder)
        await withTaskGroup(of: Void.self) { group in
            for worker in 0..<4 {
                group.addTask { for step in 1...50 { board.scalar("worker/\(worker)", Float(step), step: step) } }
            }
        }
        let reader = try EventReader(path: board.path)
        for worker in 0..<4 {
            #expect(reader.scalars("worker/\(worker)") == .init(uniqueKeysWithValues: (1...50).map { ($0, Float($0)) }))
        }
    }
}
