import Descent
import Foundation
import Synchronization
import Testing

@testable import DescentTensorBoard

@Suite struct FailureTests {
    /// The failures that a writer told of.
    private final class News: Sendable {
        private let failures = Mutex<[DescentError]>([])
        var messages: [String] { failures.withLock { $0.map(\.message) } }
        func add(_ failure: DescentError) { failures.withLock { $0.append(failure) } }
    }

    /// A disk that is full for some of the calls that write, after it has taken a few bytes.
    private func disk(fullFor calls: ClosedRange<Int>, taking byteCount: Int) -> EventFile.Write {
        let counter = Counter()
        return { file, bytes, count, offset in
            guard calls.contains(counter.increment()) else { return pwrite(file, bytes, count, offset) }
            if byteCount > 0 { return pwrite(file, bytes, min(byteCount, count), offset) }
            errno = ENOSPC
            return -1
        }
    }

    @Test func `a full disk does not end training, and is not kept quiet`() throws {
        let folder = try TemporaryFolder()
        let news = News()
        // Call 1 writes the file's version, call n + 1 the record of step n.
        let board = try TensorBoardWriter.stopped(
            folder, write: disk(fullFor: 3...4, taking: 0), onFailure: news.add)
        var parameters = try TensorSet([ParameterDescription("w", shape: [2])])
        var pipeline = try Pipeline(for: parameters) { SGD(learningRate: 0.5) }
        board.attach(to: &pipeline)
        let gradients = try TensorSet(["w": [1, 2]], layout: parameters.layout)
        for step in 1...6 {
            #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
            #expect(news.messages.count == (step < 2 ? 0 : 1))
        }
        #expect(parameters["w"] == [-3, -6])
        #expect(board.lostRecords == 2)
        let message = try #require(news.messages.first)
        #expect(message.contains(board.path))
        #expect(message.contains("No space left on device"))
        #expect(board.firstFailure?.message == message)
        #expect(try EventReader(path: board.path).scalars("step/learning_rate").keys.sorted() == [1, 4, 5, 6])

        let error = try #require(throws: DescentError.self) { try board.close() }
        #expect(error.code == .eventFile)
        #expect(error.message.contains("2 records were lost"))
        #expect(error.message.contains(message))
    }

    @Test func `a second outage is told of again`() throws {
        let news = News()
        let counter = Counter()
        let board = try TensorBoardWriter.stopped(
            try TemporaryFolder(),
            write: { file, bytes, count, offset in
                guard [2, 4].contains(counter.increment()) else { return pwrite(file, bytes, count, offset) }
                errno = EIO
                return -1
            }, onFailure: news.add)
        for step in 1...4 { board.scalar("loss", 1, step: step) }
        #expect(news.messages.count == 2)
        #expect(board.lostRecords == 2)
    }

    @Test(arguments: [1, 7, 12, 30]) func `what was written of a record that did not fit is cut off again`(
        _ byteCount: Int
    ) throws {
        let folder = try TemporaryFolder()
        let counter = Counter()
        // The second record is taken in part, then the disk is full; the third, shorter one fits again.
        let board = try TensorBoardWriter.stopped(folder) { file, bytes, count, offset in
            switch counter.increment() {
            case 3: return pwrite(file, bytes, byteCount, offset)
            case 4:
                errno = ENOSPC
                return -1
            default: return pwrite(file, bytes, count, offset)
            }
        }
        board.scalar("loss", 1, step: 1)
        let length = try Data(contentsOf: URL(fileURLWithPath: board.path)).count
        board.scalar("a long name that does not fit any more", 2, step: 2)
        #expect(try Data(contentsOf: URL(fileURLWithPath: board.path)).count == length)
        #expect(board.lostRecords == 1)
        board.scalar("loss", 3, step: 3)
        #expect(try EventReader(path: board.path).scalars("loss") == [1: 1, 3: 3])
    }

    @Test func `writes that are interrupted or come up short are continued`() throws {
        let folder = try TemporaryFolder()
        let counter = Counter()
        let board = try TensorBoardWriter.stopped(folder) { file, bytes, count, offset in
            if counter.increment() % 2 == 0 {
                errno = EINTR
                return -1
            }
            return pwrite(file, bytes, min(count, 5), offset)
        }
        board.scalar("loss", 1, step: 1)
        #expect(board.lostRecords == 0)
        #expect(try EventReader(path: board.path).scalars("loss") == [1: 1])
    }

    @Test func `a folder that cannot be made is an error that names it`() throws {
        let folder = try TemporaryFolder()
        let file = "\(folder.path)/file"
        try Data("occupied".utf8).write(to: URL(fileURLWithPath: file))
        let error = try #require(throws: DescentError.self) { try TensorBoardWriter(folder: "\(file)/run") }
        #expect(error.code == .eventFile)
        #expect(error.message.contains("\(file)/run"))
        #expect(try folder.names == ["file"])
    }

    @Test func `a record after closing is lost and told of, and closing twice is nothing`() throws {
        let news = News()
        let folder = try TemporaryFolder()
        let board = try TensorBoardWriter.stopped(folder, onFailure: news.add)
        board.scalar("loss", 1, step: 1)
        try board.close()
        try board.close()
        board.scalar("loss", 2, step: 2)
        #expect(news.messages == ["\"\(board.path)\" has been closed, and a record came after that."])
        #expect(board.lostRecords == 1)
        #expect(try EventReader(path: board.path).events.count == 2)
    }
}
