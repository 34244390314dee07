import Foundation

/// A new folder that is removed with everything in it when nothing refers to it any more.
package final class TemporaryFolder: Sendable {
    package let path: String

    package init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("descent-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The path of a file in the folder.
    package subscript(name: String) -> String { path + "/" + name }

    /// The names of all files, hidden ones too, in alphabetic order.
    package var contents: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() } }

    package func write(_ bytes: [UInt8], to name: String) throws -> String {
        try Data(bytes).write(to: URL(fileURLWithPath: self[name]))
        return self[name]
    }

    package func read(_ name: String) throws -> [UInt8] {
        try Array(Data(contentsOf: URL(fileURLWithPath: self[name])))
    }
}
