import CMPI
public import DescentCore
public import DescentDistributed
import Foundation

/// The processes of a job that `mpirun` started together.
///
/// Calls have to come from one thread at a time, as those of MPI do. A failure inside MPI ends the whole job.
public final class MPICommunicator: Communicator, @unchecked Sendable {
    // Unchecked because MPI is told that calls are serialized, by `Communicator`'s contract.
    public let rank: Int
    public let rankCount: Int
    /// The communicator of each channel.
    private var handles: [MPI_Comm] = []
    /// The request of each transfer that is under way; null where there is none.
    private var requests: [MPI_Request?] = []

    private init() {
        var (rank, rankCount): (Int32, Int32) = (0, 1)
        MPI_Comm_rank(CMPI_world(), &rank)
        MPI_Comm_size(CMPI_world(), &rankCount)
        (self.rank, self.rankCount) = (Int(rank), Int(rankCount))
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
        timeLimit: Duration = .seconds(1800), _ body: (ProcessGroup) throws -> Result
    ) -> Result {
        withCommunicator { communicator in
            let world = try ProcessGroup(over: communicator, timeLimit: timeLimit)
            let result = try body(world)
            try world.leave()
            return result
        }
    }

    /// Joins the job and runs a body that needs nothing but a communicator, such as a test of it.
    ///
    /// To be called once in a process, instead of ``withWorld(timeLimit:_:)``. An error that the body throws ends all ranks.
    ///
    /// - Parameter body: The program.
    /// - Returns: What the body returns.
    public static func withCommunicator<Result>(_ body: (MPICommunicator) throws -> Result) -> Result {
        var provided: Int32 = 0
        MPI_Init_thread(nil, nil, Int32(MPI_THREAD_SERIALIZED), &provided)
        stopUnless(provided >= Int32(MPI_THREAD_SERIALIZED), "This MPI was built without support for threads.")
        let communicator = MPICommunicator()
        do {
            let result = try body(communicator)
            MPI_Finalize()
            return result
        } catch {
            communicator.abort(error)
        }
    }

    private func abort(_ error: any Error) -> Never {
        FileHandle.standardError.write(Data("rank \(rank) of \(rankCount): \(error)\n".utf8))
        MPI_Abort(CMPI_world(), 1)
        exit(1)
    }

    public func openChannel() throws(DescentError) -> Channel {
        var handle: MPI_Comm?
        MPI_Comm_dup(CMPI_world(), &handle)
        guard let handle else { throw DescentError(.communication, "MPI made no communicator.") }
        handles.append(handle)
        return Channel(handles.count - 1)
    }

    public func beginExchange(
        _ sent: UnsafeRawBufferPointer, into received: UnsafeMutableRawBufferPointer, on channel: Channel
    ) throws(DescentError) -> Transfer {
        let count = Int32(sent.count / rankCount)
        return begin { request in
            MPI_Ialltoall(
                sent.baseAddress, count, CMPI_byte(), received.baseAddress, count, CMPI_byte(), handles[channel.number],
                &request)
        }
    }

    public func beginGathering(
        _ sent: UnsafeRawBufferPointer, into received: UnsafeMutableRawBufferPointer, on channel: Channel
    ) throws(DescentError) -> Transfer {
        let count = Int32(sent.count)
        return begin { request in
            MPI_Iallgather(
                sent.baseAddress, count, CMPI_byte(), received.baseAddress, count, CMPI_byte(), handles[channel.number],
                &request)
        }
    }

    public func beginBroadcast(
        _ bytes: UnsafeMutableRawBufferPointer, from root: Int, on channel: Channel
    ) throws(DescentError) -> Transfer {
        begin { request in
            MPI_Ibcast(
                bytes.baseAddress, Int32(bytes.count), CMPI_byte(), Int32(root), handles[channel.number], &request)
        }
    }

    public func wait(for transfer: Transfer, atMost limit: Duration) throws(DescentError) -> Bool {
        CMPI_waitFor(&requests[transfer.number], limit / .seconds(1)) != 0
    }

    /// Begins a transfer, whose number is that of a request that is free.
    private func begin(_ body: (inout MPI_Request?) -> Void) -> Transfer {
        let number = requests.firstIndex { $0 == CMPI_noRequest() } ?? requests.count
        if number == requests.count { requests.append(CMPI_noRequest()) }
        body(&requests[number])
        return Transfer(number)
    }
}
