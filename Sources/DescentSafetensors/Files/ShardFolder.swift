package import DescentErrors

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The folder that an index is in, or is to be in, and the files beside it that were written with it.
///
/// These, the *shards*, are named after the index, the save and the rank that wrote them: `run-00007-1-of-4.safetensors`
/// is of the seventh save of `run.safetensors.index.json`. A name of another form stands before a dot instead:
/// `run.00007-1-of-4.safetensors` is of `run`. So shards of two indexes never have the same name.
package struct ShardFolder {
    /// The path of the folder, empty or with a slash at its end.
    private let path: String
    /// What the names of shards begin with.
    private let beginning: String

    /// Finds the folder of an index that is to be written: where a symbolic link leads to, if the path is one.
    ///
    /// - Throws: ``DescentError`` with code `fileAccess`, as for a path that is a folder's.
    package init(ofIndex path: String) throws(DescentError) {
        let file = try ReplacedFile(path)
        let suffix = ".safetensors.index.json"
        self.path = file.folder
        beginning = file.name.hasSuffix(suffix) ? "\(file.name.dropLast(suffix.count))-" : "\(file.name)."
    }

    /// The folders that shards of an index may be in.
    ///
    /// They are that of its path, and, if the path is a symbolic link, that which it leads to: in Hugging Face's cache shards
    /// are links beside the index's own, and a link to an index elsewhere has none beside it.
    static func candidates(forIndex path: String) throws(DescentError) -> [String] {
        let (given, real) = (ReplacedFile.split(path).folder, try ReplacedFile(path).folder)
        return [given, real]
    }

    /// The path of a shard.
    package subscript(name: String) -> String { path + name }

    /// Whether there is a file at a path, or a link to one.
    static func exists(_ path: String) throws(DescentError) -> Bool {
        guard !path.utf8.contains(0) else { throw .zeroByte(in: path, "read") }
        var status = stat()
        if stat(path, &status) == 0 { return true }
        guard errno == ENOENT else { throw .fileAccess("read", path) }
        return false
    }
}

// MARK: Names

extension ShardFolder {
    /// No save has a larger number, so that one more can be counted.
    private static let largestNumber = 999_999_999_999

    /// The name of a shard.
    ///
    /// - Parameters:
    ///   - save: The number of the save, from 1.
    ///   - rank: The number of the process, from 0.
    ///   - rankCount: The number of processes.
    /// - Returns: A name that ``save(ofShard:)`` knows again.
    package func name(save: Int, rank: Int, of rankCount: Int) -> String {
        let digits = String(save)
        let number = String(repeating: "0", count: max(0, 5 - digits.count)) + digits
        return "\(beginning)\(number)-\(rank + 1)-of-\(rankCount).safetensors"
    }

    /// The number of the save that a shard belongs to; nil for the name of any other file.
    package func save(ofShard name: String) -> Int? {
        let suffix = ".safetensors"
        guard name.hasPrefix(beginning), name.hasSuffix(suffix) else { return nil }
        let parts = name.dropFirst(beginning.count).dropLast(suffix.count).split(separator: "-")
        guard parts.count == 4, parts[2] == "of", let save = Int(parts[0]), let rank = Int(parts[1]),
            let rankCount = Int(parts[3]), save <= Self.largestNumber, 1...max(1, rankCount) ~= rank
        else { return nil }
        return name == self.name(save: save, rank: rank - 1, of: rankCount) ? save : nil
    }
}

// MARK: What is there

extension ShardFolder {
    /// The shards that are there, also those that killed processes have left unfinished, with the numbers of their saves.
    ///
    /// - Throws: ``DescentError`` with code `fileAccess` if the folder cannot be read.
    package func shards() throws(DescentError) -> [(fileName: String, save: Int)] {
        guard let folder = opendir(path.isEmpty ? "." : path) else { throw .fileAccess("read the folder", path) }
        defer { closedir(folder) }
        var found: [(String, Int)] = []
        while let entry = readdir(folder) {
            let capacity = MemoryLayout.size(ofValue: entry.pointee.d_name)
            let fileName = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: capacity) { String(cString: $0) }
            }
            var name = fileName[...]
            if name.hasPrefix("."), name.hasSuffix(ReplacedFile.temporarySuffix) {
                name = name.dropFirst().dropLast(ReplacedFile.temporarySuffix.count)
            }
            if let save = save(ofShard: String(name)) { found.append((fileName, save)) }
        }
        return found
    }

    /// Removes a file; one that cannot be removed is left to the next save.
    package func remove(_ fileName: String) { unlink(path + fileName) }
}
