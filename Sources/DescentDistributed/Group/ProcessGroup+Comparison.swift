import DescentCore

extension ProcessGroup {
    /// Makes sure that all ranks build the same pipeline, and gives it a number that is the same on all.
    ///
    /// - Throws: `DescentError` with code `processMismatch` that names what differs, and on which rank.
    func connect(_ setup: PipelineSetup) throws(DescentError) -> UInt64 {
        let number = numberExchange()
        let bytes = setup.bytes
        var announcement = Announcement(.connect, exchange: number, digest: Digest(of: bytes).value)
        announcement.setupLength = bytes.count
        try compare(setup, announce(announcement).wait())
        return number
    }

    /// Makes sure that all ranks have the same setup, of which they have announced digest and length.
    ///
    /// - Throws: `DescentError` with code `processMismatch` that names what differs, and on which rank.
    func compare(_ setup: PipelineSetup, _ announcements: [Announcement]) throws(DescentError) {
        guard announcements.contains(where: { $0.digest != announcements[0].digest }) else { return }
        var bytes = setup.bytes
        let length = announcements.map(\.setupLength).max() ?? 0
        bytes += [UInt8](repeating: 0, count: max(0, length - bytes.count))
        let setups = try gather(bytes).map { PipelineSetup(reading: $0) }
        throw DescentError(
            .processMismatch,
            (difference(of: setups) ?? "The ranks run different versions of this program")
                + ". All ranks have to build the same pipeline, with the same settings, and change it alike.")
    }

    private func difference(of setups: [PipelineSetup?]) -> String? {
        guard let first = setups[0] else { return nil }
        for (rank, setup) in setups.enumerated() {
            if let found = setup?.difference(from: first, here: "rank \(rank)", there: "rank 0") { return found }
        }
        return nil
    }

    /// Makes sure that all ranks have the same parameters, by the digest of each.
    ///
    /// - Throws: `DescentError` with code `processMismatch` that names the first that differs, and the rank.
    func compare(_ digests: [UInt64], of layout: ParameterLayout) throws(DescentError) {
        let all = try gather(digests.withUnsafeBytes { Array($0) })
        for (other, received) in all.enumerated() {
            for position in layout.indices
            where received[position * 8..<position * 8 + 8] != all[0][position * 8..<position * 8 + 8] {
                let name = layout[position].name
                throw DescentError(
                    .processMismatch, parameter: name,
                    "The parameters of rank \(other) differ from rank 0's, \"\(name)\" first. Broadcast them before the first "
                        + "step, or resume all ranks from one checkpoint.")
            }
        }
    }
}

extension TensorStorage {
    /// A digest of each tensor.
    ///
    /// - Throws: What reading the tensors throws.
    var digests: [UInt64] {
        get throws(DescentError) {
            var digests: [UInt64] = []
            for position in layout.indices {
                var digest = Digest()
                try withBytes(of: position) { digest.add($0) }
                digests.append(digest.value)
            }
            return digests
        }
    }
}

extension PipelineSetup {
    /// Adds the parameters, and how they are exchanged.
    mutating func add(_ layout: ParameterLayout, exchangedBy exchange: Component) {
        add(exchange)
        add(Component("layout", settings: layout.map { "\($0.name) of shape \($0.shape), output \($0.outputAxis)" }))
    }

    /// The setup as bytes.
    fileprivate var bytes: [UInt8] {
        var writer = ByteWriter()
        writer.write(UInt64(components.count))
        for component in components {
            writer.write(component.name)
            writer.write(component.settings)
        }
        return writer.bytes
    }

    /// Reads a setup, behind which there may be anything; nil where there is none.
    fileprivate init?(reading bytes: [UInt8]) {
        var reader = ByteReader(bytes)
        guard let count = reader.number(), count <= UInt64(bytes.count) else { return nil }
        var components: [Component] = []
        for _ in 0..<count {
            guard let name = reader.text(), let settings = reader.texts() else { return nil }
            components.append(Component(name, settings: settings))
        }
        self.init(components)
    }

    /// A number that tells whether setups are the same.
    var digest: UInt64 { Digest(of: bytes).value }
    /// How many bytes it takes to describe.
    var byteCount: Int { bytes.count }
}
