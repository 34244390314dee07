import Foundation

/// A file to write when a program has done its work.
package struct OutputFile {
    /// Its path, from the root on.
    package let path: String

    /// A file at a path, into whose folder files can be written.
    ///
    /// - Throws: ``BadArgument`` if they cannot, before the work is done in vain.
    package init(_ path: String) throws {
        let file = URL(fileURLWithPath: path)
        let folder = file.deletingLastPathComponent().path
        guard FileManager.default.isWritableFile(atPath: folder) else {
            throw BadArgument("nothing can be written into \(folder)")
        }
        self.path = file.path
    }
}
