package import DescentErrors

extension OpenFile {
    /// Whether it is an index of safetensors files, and not one itself.
    var isIndex: Bool {
        get throws(DescentError) {
            guard byteCount >= 8 else { return false }
            return SafetensorsIndex.begins(with: try bytes(8))
        }
    }

    /// Reads an index.
    ///
    /// - Throws: ``DescentError`` with the path.
    func readIndex() throws(DescentError) -> SafetensorsIndex {
        do throws(DescentError) {
            guard byteCount <= SafetensorsIndex.maximumByteCount else {
                throw DescentError(
                    .invalidFile,
                    "it has \(byteCount) bytes, of which \(SafetensorsIndex.maximumByteCount) are allowed.")
            }
            return try SafetensorsIndex(json: contents())
        } catch {
            guard error.code != .fileAccess else { throw error }
            throw Self.invalid(path, error.parameter, error.message)
        }
    }

    fileprivate static func invalid(_ path: String, _ tensor: String? = nil, _ message: String) -> DescentError {
        DescentError(
            .invalidFile, parameter: tensor, "\"\(path)\" is not a valid index of safetensors files: \(message)")
    }
}

extension SafetensorsIndex {
    /// Reads the index that is at a path; nil if there is nothing, or a file with tensors.
    ///
    /// - Throws: ``DescentError`` with code `fileAccess` if it cannot be read, or `invalidFile` if it is damaged.
    package init?(at path: String) throws(DescentError) {
        guard try ShardFolder.exists(path) else { return nil }
        let file = try OpenFile(path)
        guard try file.isIndex else { return nil }
        self = try file.readIndex()
    }
}

extension SafetensorsFile {
    /// Opens the files that an index names.
    ///
    /// A job that saves meanwhile takes away files that the index named. Where one is missing, and the index is another by
    /// now, that is read.
    init(index first: OpenFile) throws(DescentError) {
        var file = first
        var index = try file.readIndex()
        while true {
            do throws(DescentError) {
                self = try SafetensorsFile(Self.openShards(of: index, path: file.path), of: index, path: file.path)
                return
            } catch {
                guard error.code == .fileAccess else { throw error }
                file = try OpenFile(file.path)
                guard try file.isIndex else { throw error }
                let next = try file.readIndex()
                guard next.fileNames != index.fileNames else { throw error }
                index = next
            }
        }
    }

    /// Takes files for one, of which an index says what is where.
    ///
    /// - Parameters:
    ///   - shards: The files.
    ///   - index: What names them.
    ///   - path: Where the index is.
    /// - Throws: `DescentError` with code `invalidFile` if a tensor is not in the file that it is said to be in, or if a file
    ///   was not written together with the index.
    package init(
        _ shards: [(name: String, file: SafetensorsFile)], of index: SafetensorsIndex, path: String
    ) throws(DescentError) {
        var (entries, holders) = ([] as [SafetensorsEntry], [] as [Int])
        for (position, shard) in shards.enumerated() {
            try index.requireSameSave(as: shard.file, path: path)
            for entry in shard.file.entries where index.holders[entry.name] == shard.name {
                entries.append(entry)
                holders.append(position)
            }
        }
        if entries.count < index.holders.count {
            let found = Set(entries.map(\.name))
            let missing = index.holders.filter { !found.contains($0.key) }.min { $0.key < $1.key }
            let (tensor, name) = (missing?.key ?? "", missing?.value ?? "")
            throw OpenFile.invalid(
                path, tensor,
                "it says that \(tensor.quotedBriefly) is in \(name.quotedBriefly), which has no such tensor.")
        }
        self.init(
            shards: shards.map(\.file), holding: entries, holders: holders, metadata: index.metadata,
            hasChecksums: index.hasChecksum && shards.allSatisfy(\.file.hasChecksums), path: path)
    }

    private static func openShards(
        of index: SafetensorsIndex, path: String
    ) throws(DescentError) -> [(name: String, file: SafetensorsFile)] {
        let folders = try ShardFolder.candidates(forIndex: path)
        var shards: [(name: String, file: SafetensorsFile)] = []
        for name in index.fileNames.sorted() {
            // What is in none of the folders is missing from the first.
            var shard = folders[0] + name
            for folder in folders.reversed() where try ShardFolder.exists(folder + name) { shard = folder + name }
            shards.append((name, try SafetensorsFile(OpenFile(shard))))
        }
        return shards
    }
}

extension SafetensorsIndex {
    /// Refuses a file that is not one of those that were written with the index, if it says which save it is of.
    fileprivate func requireSameSave(as shard: SafetensorsFile, path: String) throws(DescentError) {
        guard let save = metadata[Self.saveKey], shard.metadata[Self.saveKey] != save else { return }
        throw DescentError(
            .invalidFile,
            "\(shard.path.quotedBriefly) does not belong to \(path.quotedBriefly): it was written by another save, or by "
                + "another job.")
    }
}
