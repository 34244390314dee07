import CMPI
import DescentCore
import Foundation

extension Communicator {
    /// Makes sure that all ranks build the same pipeline, and gives it a number that is the same on all.
    ///
    /// - Throws: `DescentError` with code `processMismatch` that names what differs, and on which rank.
    func connect(_ setup: PipelineSetup) throws(DescentError) -> UInt64 {
        let number = numberExchange()
        let bytes = encoded(setup)
        var digest = Digest()
        for byte in bytes { digest.add(byte) }
        var announcement = Announcement(.connect, exchange: number, digest: digest.value)
        announcement.reasonLength = bytes.count
        let all = try announce(announcement).wait(comparesDigests: false)
        guard all.contains(where: { $0.digest != all[0].digest }) else { return number }
        let setups = try gather(bytes, counts: all.map(\.reasonLength)).map { bytes in
            try? JSONDecoder().decode(PipelineSetup.self, from: Data(bytes))
        }
        throw DescentError(
            .processMismatch,
            (difference(of: setups) ?? "The ranks run different versions of this program")
                + ". All ranks have to build the same pipeline, with the same settings.")
    }

    private func difference(of setups: [PipelineSetup?]) -> String? {
        guard let first = setups[0] else { return nil }
        for (rank, setup) in setups.enumerated() {
            if let found = setup?.difference(from: first, here: "rank \(rank)", there: "rank 0") { return found }
        }
        return nil
    }

    /// Makes sure that all ranks have the same parameters, bit for bit.
    ///
    /// - Throws: `DescentError` with code `processMismatch` that names the first that differs, and the rank.
    func compare(_ parameters: some TensorStorage) throws(DescentError) {
        var words: [UInt64] = []
        for position in parameters.layout.indices {
            var digest = Digest()
            try parameters.withBytes(of: position) { digest.add($0) }
            words.append(digest.value)
        }
        let bytes = words.withUnsafeBytes { Array($0) }
        let all = try gather(bytes, counts: [Int](repeating: bytes.count, count: size))
        for (other, received) in all.enumerated() {
            for position in parameters.layout.indices
            where received[position * 8..<position * 8 + 8] != all[0][position * 8..<position * 8 + 8] {
                let name = parameters.layout[position].name
                throw DescentError(
                    .processMismatch, parameter: name,
                    "The parameters of rank \(other) differ from rank 0's, \"\(name)\" first. Broadcast them before the first "
                        + "step, or resume all ranks from one checkpoint.")
            }
        }
    }

    /// Gives every rank the bytes of all, in their order.
    private func gather(_ bytes: [UInt8], counts: [Int]) throws(DescentError) -> [[UInt8]] {
        let counts32 = counts.map { Int32($0) }
        var offsets: [Int32] = []
        var total: Int32 = 0
        for count in counts32 {
            offsets.append(total)
            total += count
        }
        // In memory that stays, because after a timeout MPI may still write to it.
        let sent = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(1, bytes.count))
        _ = sent.initialize(from: bytes)
        let received = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(1, Int(total)))
        received.initialize(repeating: 0)
        let places = UnsafeMutableBufferPointer<Int32>.allocate(capacity: 2 * size)
        _ = places.initialize(from: counts32 + offsets)
        var request: MPI_Request?
        MPI_Iallgatherv(
            sent.baseAddress, Int32(bytes.count), CMPI_byte(), received.baseAddress, places.baseAddress,
            places.baseAddress.map { $0 + size }, CMPI_byte(), handle, &request)
        try finish(&request)
        defer {
            sent.deallocate()
            received.deallocate()
            places.deallocate()
        }
        return counts.indices.map { Array(received[Int(offsets[$0])..<Int(offsets[$0]) + counts[$0]]) }
    }

    private func encoded(_ setup: PipelineSetup) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        guard let data = try? encoder.encode(setup) else { stopForMisuse("A setup can always be encoded.") }
        return Array(data)
    }
}

extension PipelineSetup {
    /// Adds the parameters, and how they are exchanged.
    mutating func add(_ layout: ParameterLayout, exchangedBy exchange: Component) {
        add(exchange)
        add(Component("layout", settings: layout.map { "\($0.name) of shape \($0.shape), output \($0.outputAxis)" }))
    }
}
