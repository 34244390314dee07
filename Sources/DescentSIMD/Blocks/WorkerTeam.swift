import CDescentKernels
import Dispatch
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Threads that help the caller's with its sweeps, and linger for a moment after each in case another one follows.
///
/// Waking a thread takes longer than a sweep over a small model does. A helper that is called for the first sweep of a
/// step stays awake for the second; and no sweep waits for a helper that has not arrived: the caller does its work.
final class WorkerTeam: Sendable {
    private let helpers: [Helper]

    /// A team of the caller and of one helper fewer than there are threads.
    init(threads: Int) { helpers = (1..<max(threads, 1)).map { Helper(thread: $0) } }

    /// Runs a body on the caller's thread, as thread 0, and on those helpers that arrive before it ends there.
    ///
    /// Not to be called by several threads at once.
    ///
    /// - Parameters:
    ///   - threads: How many threads are wanted, of those that the team has.
    ///   - body: What to run, with the number of the thread; whoever runs it goes on until all work is done.
    func perform(threads: Int, _ body: @Sendable (_ thread: Int) -> Void) {
        withoutActuallyEscaping(body) { body in
            for helper in helpers.prefix(threads - 1) { helper.call(to: body) }
            body(0)
            for helper in helpers.prefix(threads - 1) { helper.dismiss() }
        }
    }
}

/// One thread of a team, borrowed from Dispatch for as long as there is something to do for it.
///
/// Whoever moves `presence` to `working` owns `body` until it moves on, which is what makes sharing it safe.
private final class Helper: @unchecked Sendable {
    private enum Presence: UInt8, AtomicRepresentable {
        /// There is no thread.
        case absent
        /// There is a thread, or one on its way, without work.
        case free
        /// There is work for it.
        case called
        /// It works.
        case working
    }

    /// How many nanoseconds a helper without work stays awake.
    private static let patience: UInt64 = 100_000
    private let thread: Int
    private let presence = Atomic(Presence.absent)
    private var body: (@Sendable (Int) -> Void)?

    init(thread: Int) { self.thread = thread }

    func call(to body: @escaping @Sendable (Int) -> Void) {
        self.body = body
        let former = presence.exchange(.called, ordering: .acquiringAndReleasing)
        if former == .absent { DispatchQueue.global(qos: .userInteractive).async { self.work() } }
    }

    /// Takes the call back, or waits until the helper has done what it has begun.
    func dismiss() {
        var looks = 0
        while true {
            let current = presence.compareExchange(
                expected: .called, desired: .free, ordering: .acquiringAndReleasing)
            guard current.original == .working else { break }
            looks += 1
            if looks.isMultiple(of: 256) { sched_yield() } else { descent_pause() }
        }
        body = nil
    }

    private func work() {
        var lastWork = DispatchTime.now().uptimeNanoseconds
        while true {
            for _ in 0..<64 where presence.load(ordering: .relaxed) != .called { descent_pause() }
            if move(from: .called, to: .working) {
                body?(thread)
                presence.store(.free, ordering: .releasing)
                lastWork = DispatchTime.now().uptimeNanoseconds
            } else if DispatchTime.now().uptimeNanoseconds - lastWork > Self.patience, move(from: .free, to: .absent) {
                return
            }
        }
    }

    private func move(from former: Presence, to next: Presence) -> Bool {
        presence.compareExchange(expected: former, desired: next, ordering: .acquiringAndReleasing).exchanged
    }
}
