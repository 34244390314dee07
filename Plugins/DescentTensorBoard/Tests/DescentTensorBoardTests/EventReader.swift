import DescentCore
import Foundation
import SwiftProtobuf

@testable import DescentTensorBoard

/// Reads event files as TensorBoard does, up to the last whole record.
struct EventReader {
    /// What is wrong with a record that is there in full.
    struct Corruption: Error {
        let offset: Int
    }

    private(set) var events: [TensorBoardEvent] = []

    init(path: String) throws { try self.init(Array(Data(contentsOf: URL(fileURLWithPath: path)))) }

    init(_ bytes: [UInt8]) throws {
        func number<Number: FixedWidthInteger>(at offset: Int, as type: Number.Type) -> Number {
            (0..<MemoryLayout<Number>.size).reduce(0) { $0 | Number(bytes[offset + $1]) << ($1 * 8) }
        }
        var offset = 0
        while bytes.count - offset >= 12 {
            let length = Int(number(at: offset, as: UInt64.self))
            let data = offset + 12
            guard CRC32C.maskedChecksum(bytes[offset..<offset + 8]) == number(at: offset + 8, as: UInt32.self) else {
                throw Corruption(offset: offset)
            }
            guard bytes.count - data >= length + 4 else { return }
            guard
                CRC32C.maskedChecksum(bytes[data..<data + length]) == number(at: data + length, as: UInt32.self)
            else { throw Corruption(offset: data) }
            events.append(try TensorBoardEvent(serializedBytes: Array(bytes[data..<data + length])))
            offset = data + length + 4
        }
    }

    /// The numbers of a chart, with their steps.
    func scalars(_ tag: String) -> [Int: Float] {
        var values: [Int: Float] = [:]
        for event in events {
            for value in event.summary.value where value.tag == tag { values[Int(event.step)] = value.simpleValue }
        }
        return values
    }

    /// All tags of a step.
    func tags(step: Int) -> [String] {
        events.filter { $0.step == step }.flatMap { $0.summary.value.map(\.tag) }
    }
}

extension TensorBoardWriter {
    /// A writer whose clock stands still.
    static func stopped(
        _ folder: TemporaryFolder, at time: Double = 1.5, write: @escaping EventFile.Write = pwrite,
        onFailure: @escaping @Sendable (DescentError) -> Void = { _ in }
    ) throws -> TensorBoardWriter {
        try TensorBoardWriter(folder: folder.path, onFailure: onFailure, now: { time }, write: write)
    }
}
