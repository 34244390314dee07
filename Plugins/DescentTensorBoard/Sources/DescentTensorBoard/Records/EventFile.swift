public import DescentCore
import Foundation

/// A file that grows by whole records.
///
/// Each record is handed to the system in one call, and nothing is kept in this process: whatever kills it, the file
/// holds all records before. A record that could not be written whole is cut off again, and the next one takes its
/// place.
struct EventFile: ~Copyable, Sendable {
    /// Writes bytes to a place in a file, as `pwrite` does: how many were written, or -1 with the reason in `errno`.
    typealias Write = @Sendable (_ file: Int32, _ bytes: UnsafeRawPointer?, _ count: Int, _ offset: off_t) -> Int

    let path: String
    private let descriptor: Int32
    private let write: Write
    /// The end of the last whole record.
    private var end: off_t = 0

    /// Creates a file in a folder, which is created too where it is missing.
    ///
    /// Its name is like those that TensorFlow makes: TensorBoard reads files with "tfevents" in their names, in
    /// alphabetical order.
    init(folder: String, seconds: Int, write: @escaping Write = pwrite) throws(DescentError) {
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw DescentError(.eventFile, "The folder \"\(folder)\" cannot be created: \(error.localizedDescription)")
        }
        let (path, descriptor) = try Self.create(in: folder, seconds: seconds)
        self.path = path
        self.descriptor = descriptor
        self.write = write
    }

    private static func create(
        in folder: String, seconds: Int
    ) throws(DescentError) -> (path: String, descriptor: Int32) {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        let host = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        var number = 0
        while true {
            let path = "\(folder)/events.out.tfevents.\(seconds).\(host).\(getpid()).\(number)"
            let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
            let reason = errno
            if descriptor >= 0 { return (path, descriptor) }
            guard reason == EEXIST else { throw error(path, "cannot be created", reason) }
            number += 1
        }
    }

    deinit { Foundation.close(descriptor) }

    /// Writes a record.
    ///
    /// - Throws: `DescentError` with code `eventFile`; the file then ends where it did.
    mutating func append(_ data: [UInt8]) throws(DescentError) {
        let record = EventRecord.frame(data)
        var written = 0
        var failure: Int32 = 0
        record.withUnsafeBytes { bytes in
            while written < bytes.count, failure == 0 {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[written...])
                let count = write(descriptor, rest.baseAddress, rest.count, end + off_t(written))
                if count > 0 {
                    written += count
                } else if count == 0 || errno != EINTR {
                    failure = count == 0 ? ENOSPC : errno
                }
            }
        }
        guard failure == 0 else {
            ftruncate(descriptor, end)
            throw Self.error(path, "cannot be written", failure)
        }
        end += off_t(written)
    }

    /// Waits until all records are on the disk.
    ///
    /// - Throws: `DescentError` with code `eventFile`.
    func synchronize() throws(DescentError) {
        guard fsync(descriptor) == 0 else { throw Self.error(path, "cannot be brought to the disk", errno) }
    }

    private static func error(_ path: String, _ what: String, _ reason: Int32) -> DescentError {
        DescentError(.eventFile, "\"\(path)\" \(what): \(String(cString: strerror(reason))).")
    }
}

extension DescentError.Code {
    /// A file of events for TensorBoard cannot be created or written.
    public static let eventFile = Self("eventFile")
}
