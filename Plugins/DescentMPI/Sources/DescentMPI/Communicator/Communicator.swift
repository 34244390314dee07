import CMPI
public import DescentCore
import Foundation

/// The processes of a job, which `mpirun` started together, as one of them sees them.
///
/// Every process is a *rank*, counted from 0. Whatever concerns all of them (building a pipeline with an ``AllReduce``,
/// stepping it, broadcasting) all of them have to do, in the same order; each such call announces itself to the other
/// ranks first, so that ranks which have lost step with each other find out, and throw, instead of waiting for ever.
///
/// Calls have to come from one thread at a time, as those of MPI do; that makes it safe to hand to another. A failure inside MPI
/// ends the whole job.
public final class Communicator: @unchecked Sendable {
    // Unchecked because `MPI_Comm` is a pointer: it is never changed, and MPI is told that calls are serialized.
    let handle: MPI_Comm
    /// Where announcements are exchanged, apart from all other messages.
    private let control: MPI_Comm
    /// This process's number, from 0.
    public let rank: Int
    /// The number of processes.
    public let size: Int
    /// How long this rank waits for others before it throws.
    public let timeLimit: Duration
    /// Whether it has waited longer once, after which ranks cannot find to one step again.
    private var isLost = false
    /// Announcements that nobody waits for, kept until MPI has done with their memory.
    private var unawaited: [PendingAnnouncements] = []
    /// How many exchanges have been opened, which numbers them alike on all ranks.
    private var openedExchanges: UInt64 = 0

    private init(timeLimit: Duration) {
        self.timeLimit = timeLimit
        var (rank, size): (Int32, Int32) = (0, 1)
        handle = CMPI_world()
        MPI_Comm_rank(handle, &rank)
        MPI_Comm_size(handle, &size)
        (self.rank, self.size) = (Int(rank), Int(size))
        control = Self.duplicate(handle)
    }

    /// Joins the job, runs a body, and leaves the job together with the other ranks.
    ///
    /// To be called once in a process. An error that the body throws is written to the standard error, and ends all
    /// ranks with status 1: none is left waiting for one that has failed. So does a rank that leaves while others go on.
    ///
    /// - Parameters:
    ///   - timeLimit: How long a rank waits for others before it throws an error with code `processTimeout`, after which
    ///     it can do nothing with them any more; longer than anything takes that one rank does alone, such as saving.
    ///   - body: The program, which is given all ranks of the job; one, if `mpirun` did not start it.
    /// - Returns: What the body returns.
    public static func withWorld<Result>(
        timeLimit: Duration = .seconds(1800), _ body: (Communicator) throws -> Result
    ) -> Result {
        var provided: Int32 = 0
        MPI_Init_thread(nil, nil, Int32(MPI_THREAD_SERIALIZED), &provided)
        stopUnless(provided >= Int32(MPI_THREAD_SERIALIZED), "This MPI was built without support for threads.")
        let world = Communicator(timeLimit: timeLimit)
        do {
            let result = try body(world)
            try world.agree(on: Announcement(.leaving))
            MPI_Finalize()
            return result
        } catch {
            world.abort(error)
        }
    }

    func abort(_ error: any Error) -> Never {
        FileHandle.standardError.write(Data("rank \(rank) of \(size): \(error)\n".utf8))
        MPI_Abort(handle, 1)
        exit(1)
    }

    /// Waits until all ranks have come here.
    ///
    /// - Throws: `DescentError` with code `processMismatch` if one of them does something else.
    public func barrier() throws(DescentError) {
        try agree(on: Announcement(.barrier))
    }

    /// Gives every rank the tensors that one of them has, such as the parameters that training starts from.
    ///
    /// - Parameters:
    ///   - tensors: What the root has, and the others receive; their layouts have to match.
    ///   - root: The rank that has them.
    /// - Throws: `DescentError` with code `processMismatch` if layouts or element types differ.
    public func broadcast(_ tensors: inout some TensorStorage, from root: Int = 0) throws(DescentError) {
        stopUnless((0..<size).contains(root), "There is no rank \(root) among \(size).")
        var digest = Digest()
        digest.add(tensors.layout)
        digest.add(tensors.elementType.rawValue)
        digest.add(UInt64(root))
        try agree(on: Announcement(.broadcast, digest: digest.value))
        for position in tensors.layout.indices {
            try tensors.withMutableBytes(of: position) { bytes in broadcast(bytes, from: root) }
        }
    }

    // MARK: What exchanges are made of

    /// Tells every rank what this one is about to do, and makes sure that they do the same.
    @discardableResult
    func agree(on announcement: Announcement) throws(DescentError) -> [Announcement] {
        try announce(announcement).wait()
    }

    /// Begins to tell every rank what this one is about to do.
    func announce(_ announcement: Announcement) -> PendingAnnouncements {
        unawaited.removeAll { $0.isDone }
        return PendingAnnouncements(announcement, over: control, of: self)
    }

    /// Tells every rank, without waiting for them, that this one takes no part in what they are about to do together.
    func announceFailure(_ error: DescentError) {
        guard size > 1, !isLost else { return }
        var announcement = Announcement(.failing)
        announcement.text = "\(error)"
        unawaited.append(announce(announcement))
    }

    /// Waits for the end of an operation of all ranks.
    ///
    /// - Throws: `DescentError` with code `processTimeout` if it takes longer than the limit, or did so before.
    func finish(_ request: inout MPI_Request?) throws(DescentError) {
        let (seconds, attoseconds) = timeLimit.components
        if !isLost, CMPI_waitFor(&request, Double(seconds) + Double(attoseconds) * 1e-18) != 0 { return }
        isLost = true
        throw DescentError(
            .processTimeout,
            "Rank \(rank) has waited for other ranks for \(timeLimit), which is the limit. One of them has thrown, hangs, or "
                + "is slow: look at what they print, or give withWorld a larger timeLimit.")
    }

    /// A number for an exchange, the same on all ranks.
    func numberExchange() -> UInt64 {
        openedExchanges += 1
        return openedExchanges
    }

    /// Makes a communicator of the same ranks whose messages meet no others.
    static func duplicate(_ handle: MPI_Comm) -> MPI_Comm {
        var copy: MPI_Comm?
        MPI_Comm_dup(handle, &copy)
        guard let copy else { stopForMisuse("MPI made no communicator.") }
        return copy
    }

    /// Gives every rank the bytes of one, in portions that MPI can count.
    func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) {
        let portion = 1 << 30
        for start in stride(from: 0, to: bytes.count, by: portion) {
            let end = min(bytes.count, start + portion)
            let part = UnsafeMutableRawBufferPointer(rebasing: bytes[start..<end])
            MPI_Bcast(part.baseAddress, Int32(part.count), CMPI_byte(), Int32(root), handle)
        }
    }
}
