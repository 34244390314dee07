public import DescentCore
import Foundation
import SwiftProtobuf
import Synchronization

/// Writes what happens in training to a file that TensorBoard reads.
///
/// ```swift
/// let board = try TensorBoardWriter(folder: "runs/first")
/// board.attach(to: &optimizer)
/// for batch in batches {
///     // … a step …
///     board.scalar("loss", loss, step: optimizer.appliedSteps)
/// }
/// try board.close()
/// ```
/// Each writer makes a file of its own, so that a run that goes on writes a further one into the same folder. A record
/// is in the hands of the system when the call returns; if the process is killed then, nothing is lost.
///
/// **When the disk is full.** Training must neither end for that nor go on as if nothing had happened. So no record
/// throws. One that cannot be written is left out, whole, and counted in ``lostRecords``; `onFailure` is told of it,
/// and ``close()`` throws. The next record is tried again.
public final class TensorBoardWriter: Sendable {
    private struct State: ~Copyable {
        /// Nil once it is closed.
        var file: EventFile?
        var lostRecords = 0
        var firstFailure: DescentError?
        /// Whether the last record was lost.
        var isFailing = false
    }

    /// The path of the file.
    public let path: String
    private let state: Mutex<State>
    private let onFailure: @Sendable (DescentError) -> Void
    private let now: @Sendable () -> Double

    /// Creates a file for a run.
    ///
    /// - Parameters:
    ///   - folder: The folder of the run, created where it is missing. `tensorboard --logdir` takes it or one above.
    ///   - onFailure: What to do when records begin to be lost: called for the first of them, and again if that happens
    ///     after others have been written. The default prints to standard error.
    /// - Throws: `DescentError` with code `eventFile` if the folder or the file cannot be created.
    public convenience init(
        folder: String, onFailure: @escaping @Sendable (DescentError) -> Void = printToStandardError
    ) throws(DescentError) {
        try self.init(folder: folder, onFailure: onFailure, now: { Date().timeIntervalSince1970 }, write: pwrite)
    }

    init(
        folder: String, onFailure: @escaping @Sendable (DescentError) -> Void, now: @escaping @Sendable () -> Double,
        write: @escaping EventFile.Write
    ) throws(DescentError) {
        let start = now()
        var file = try EventFile(folder: folder, seconds: Int(start), write: write)
        path = file.path
        var version = TensorBoardEvent()
        version.wallTime = start
        version.fileVersion = "brain.Event:2"
        try file.append(try Self.encode(version))
        state = Mutex(State(file: file))
        self.onFailure = onFailure
        self.now = now
    }

    /// Says on standard error that records are being lost.
    public static func printToStandardError(_ failure: DescentError) {
        FileHandle.standardError.write(Data("TensorBoard: \(failure.message) Training goes on.\n".utf8))
    }

    /// How many records could not be written.
    public var lostRecords: Int { state.withLock { $0.lostRecords } }

    /// Why the first of the lost records was lost; nil if none was.
    public var firstFailure: DescentError? { state.withLock { $0.firstFailure } }

    /// Records a number.
    ///
    /// - Parameters:
    ///   - tag: The name of the chart; what precedes its first slash is the section that it is shown in.
    ///   - value: The number, rounded to float32; TensorBoard marks NaN and infinities.
    ///   - step: The step, on the x-axis: `GradientPipeline.appliedSteps`, as for reports.
    public func scalar(_ tag: String, _ value: some BinaryFloatingPoint, step: Int) {
        var values = SummaryValues()
        values.add(tag, Float(value))
        record(values, step: step)
    }

    /// Records how magnitudes are distributed.
    ///
    /// The x-axis of the chart is log2 of the magnitude, with a bin for each power of two: bin -10 counts magnitudes
    /// from 2^-10 up to below 2^-9. Subnormal numbers share one bin, from -149 to -126. Zeros, NaN and infinities have
    /// no place in it; their shares are the scalars `tag/zeros` and, where there are any, `tag/non_finite`.
    ///
    /// - Parameters:
    ///   - tag: The name of the chart.
    ///   - histogram: The counts.
    ///   - step: The step.
    public func histogram(_ tag: String, _ histogram: MagnitudeHistogram, step: Int) {
        var values = SummaryValues()
        values.add(tag, histogram)
        record(values, step: step)
    }

    /// Brings all records to the disk and closes the file; what is recorded afterwards is lost.
    ///
    /// - Throws: `DescentError` with code `eventFile` if any record was lost, with the reason for the
    ///   first, or if the disk fails. The file is closed in any case; closing it again does nothing.
    public func close() throws(DescentError) {
        let result = state.withLock { state -> Result<Void, DescentError> in
            guard let file = state.file.take() else { return .success(()) }
            if let failure = state.firstFailure {
                return .failure(
                    DescentError(
                        .eventFile, "\(state.lostRecords) records were lost, the first because: \(failure.message)"))
            }
            return Result { () throws(DescentError) in try file.synchronize() }
        }
        try result.get()
    }

    /// Records values, all in one record.
    func record(_ values: SummaryValues, step: Int) {
        var event = TensorBoardEvent()
        event.wallTime = now()
        event.step = Int64(step)
        event.summary = values.summary
        let news = state.withLock { state -> DescentError? in
            do throws(DescentError) {
                let data = try Self.encode(event)
                guard try state.file?.append(data) != nil else {
                    throw DescentError(.eventFile, "\"\(path)\" has been closed, and a record came after that.")
                }
                state.isFailing = false
                return nil
            } catch {
                let isNew = !state.isFailing
                state.isFailing = true
                state.lostRecords += 1
                state.firstFailure = state.firstFailure ?? error
                return isNew ? error : nil
            }
        }
        // Not under the lock: the caller's closure may ask how many were lost.
        if let news { onFailure(news) }
    }

    private static func encode(_ event: TensorBoardEvent) throws(DescentError) -> [UInt8] {
        do {
            return try event.serializedBytes()
        } catch {
            throw DescentError(.eventFile, "An event cannot be encoded: \(error).")
        }
    }
}
