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

/// One thread of a team, borrowed from Dispatch for as long as there is something to do for it.
///
/// Whoever moves `presence` to `working` owns `body` until it moves on, which is what makes sharing it safe.
final class Helper: @unchecked Sendable {
    private enum Presence: UInt8, AtomicRepresentable {
        /// There is no thread.
        case absent
        /// There is a thread, or one on its way, without work.
        case free
        /// There is work for it.
        case called
        /// It works.
        case working
        /// It works, and the caller sleeps until it has done.
        case awaited
    }

    /// For how many nanoseconds a helper without work keeps its processor: longer than it is between two sweeps of a step.
    private static let attention: UInt64 = 10_000
    /// For how many it stays awake, but leaves the processor to whoever else has something to do.
    private static let patience: UInt64 = 100_000
    /// For how many the caller looks whether a helper has done before it goes to sleep.
    private static let watch: UInt64 = 50_000

    private let thread: Int
    private let presence = Atomic(Presence.absent)
    private var body: (@Sendable (Int) -> Void)?
    /// What the kernel calls the thread while there is one.
    private let clock = Atomic(ThreadClock.none)
    private let done = DispatchSemaphore(value: 0)

    init(thread: Int) { self.thread = thread }

    // MARK: The caller's side

    func call(to body: @escaping @Sendable (Int) -> Void) {
        self.body = body
        let former = presence.exchange(.called, ordering: .acquiringAndReleasing)
        if former == .absent { DispatchQueue.global(qos: .userInteractive).async { self.work() } }
    }

    /// Takes the call back, or waits until the helper has done what it has begun.
    ///
    /// - Returns: For how many nanoseconds the caller waited while the helper had no processor; 0 unless it had to sleep.
    func dismiss() -> UInt64 {
        defer { body = nil }
        var begin: UInt64 = 0
        var looks = 0
        while true {
            let current = presence.compareExchange(
                expected: .called, desired: .free, ordering: .acquiringAndReleasing)
            guard current.original == .working else { return 0 }
            looks += 1
            guard looks.isMultiple(of: 64) else {
                descent_pause()
                continue
            }
            // It may be this thread's processor that the helper waits for.
            sched_yield()
            if begin == 0 { begin = WorkerTeam.now }
            if WorkerTeam.now - begin > Self.watch { return sleep() }
        }
    }

    private func sleep() -> UInt64 {
        let clock = ThreadClock(clock.load(ordering: .relaxed))
        let (begin, used) = (WorkerTeam.now, clock.nanoseconds)
        // The kernel looks for work for a processor whose thread sleeps, and finds a helper that waits for another.
        guard move(from: .working, to: .awaited) else { return 0 }
        done.wait()
        guard let used, let usedAfter = clock.nanoseconds else { return 0 }
        let (waited, worked) = (WorkerTeam.now - begin, usedAfter - min(used, usedAfter))
        return waited > worked + Self.watch ? waited - worked : 0
    }

    // MARK: The helper's side

    private func work() {
        clock.store(ThreadClock.ofThisThread, ordering: .relaxed)
        var lastWork = WorkerTeam.now
        while true {
            for _ in 0..<64 where presence.load(ordering: .relaxed) != .called { descent_pause() }
            if move(from: .called, to: .working) {
                body?(thread)
                if presence.exchange(.free, ordering: .acquiringAndReleasing) == .awaited { done.signal() }
                lastWork = WorkerTeam.now
                continue
            }
            let idle = WorkerTeam.now - lastWork
            if idle > Self.patience, move(from: .free, to: .absent) { return }
            if idle > Self.attention { sched_yield() }
        }
    }

    private func move(from former: Presence, to next: Presence) -> Bool {
        presence.compareExchange(expected: former, desired: next, ordering: .acquiringAndReleasing).exchanged
    }
}

/// The clock of the time that a thread has had a processor, which other threads can read.
///
/// Where the platform has none, or the thread is gone, it tells nothing.
private struct ThreadClock {
    /// Stands for no clock.
    static let none: Int32 = 0
    private let identifier: Int32

    init(_ identifier: Int32) { self.identifier = identifier }

    /// The clock of the calling thread.
    static var ofThisThread: Int32 {
        #if os(Linux)
            var clock = clockid_t()
            return pthread_getcpuclockid(pthread_self(), &clock) == 0 ? Int32(clock) : none
        #else
            return none
        #endif
    }

    var nanoseconds: UInt64? {
        #if os(Linux)
            var time = timespec()
            guard identifier != Self.none, clock_gettime(clockid_t(identifier), &time) == 0 else { return nil }
            return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
        #else
            return nil
        #endif
    }
}
