import Descent
import Foundation
import Testing

@testable import DescentTensorBoard

/// A Python that has TensorBoard: the one that `DESCENT_PYTHON` names, or `python3` on the path.
enum PythonTensorBoard {
    static let isInstalled = (try? run(["-c", "import tensorboard"]))?.status == 0

    /// Runs Python and returns what it prints.
    static func run(_ arguments: [String]) throws -> (status: Int32, output: Data) {
        let (process, output) = (Process(), Pipe())
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [ProcessInfo.processInfo.environment["DESCENT_PYTHON"] ?? "python3"] + arguments
        process.standardOutput = output
        if arguments.first == "-c" { process.standardError = FileHandle.nullDevice }
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, data)
    }
}

/// What TensorBoard itself reads from the files.
@Suite(
    .enabled(
        if: PythonTensorBoard.isInstalled,
        "needs a Python with TensorBoard: `pip install tensorboard`, and `DESCENT_PYTHON` if it is not python3"))
struct PythonTests {
    /// One value, as Python prints it.
    private struct Row {
        let step: Int
        let tag: String
        let plugin: String
        let values: Any
    }

    private func read(_ path: String) throws -> [Row] {
        let script = try #require(
            Bundle.module.url(forResource: "read_events", withExtension: "py", subdirectory: "Fixtures"))
        let result = try PythonTensorBoard.run([script.path, path])
        try #require(result.status == 0)
        let rows = try #require(try JSONSerialization.jsonObject(with: result.output) as? [[Any]])
        return try rows.map { row in
            try Row(
                step: #require(row[0] as? Int), tag: #require(row[1] as? String), plugin: #require(row[2] as? String),
                values: row[3])
        }
    }

    @Test func `TensorBoard reads scalars and histograms as they were recorded`() throws {
        let folder = try TemporaryFolder()
        let board = try TensorBoardWriter.stopped(folder)
        board.scalar("loss", 0.25, step: 3)
        var histogram = MagnitudeHistogram()
        for value: Float in [0.25, -1, 1.5, 0] { histogram.add(value) }
        board.histogram("gradient", histogram, step: 1 << 40)
        let rows = try read(board.path)
        #expect(rows.map(\.tag) == ["loss", "gradient", "gradient/zeros"])
        #expect(rows.map(\.plugin) == ["scalars", "histograms", "scalars"])
        #expect(rows.map(\.step) == [3, 1 << 40, 1 << 40])
        #expect(rows[0].values as? Double == 0.25)
        #expect(rows[1].values as? [[Double]] == [[-2, -1, 1], [-1, 0, 0], [0, 1, 2]])
        #expect(rows[2].values as? Double == 0.25)
    }

    @Test func `TensorBoard reads a file up to the last whole record`() throws {
        let folder = try TemporaryFolder()
        let board = try TensorBoardWriter.stopped(folder)
        for step in 1...3 { board.scalar("loss", 1, step: step) }
        let bytes = try Data(contentsOf: URL(fileURLWithPath: board.path))
        for missing in [1, 5, 20, 30] {
            let path = "\(folder.path)/tfevents.\(missing)"
            try bytes.dropLast(missing).write(to: URL(fileURLWithPath: path))
            #expect(try read(path).map(\.step) == [1, 2])
        }
    }
}
