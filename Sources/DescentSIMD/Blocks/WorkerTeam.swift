import Dispatch
import Synchronization

/// Threads that help the caller's with its sweeps, and linger for a moment after each in case another one follows.
///
/// Waking a thread takes longer than a sweep over a small model does. A helper that is called for the first sweep of a
/// step stays awake for the second; and no sweep waits for a helper that has not arrived: the caller does its work.
///
/// Where there are fewer processors than threads that want them, a helper may lose its processor in the middle of its
/// work. The caller then has to wait until the helper runs again, which the kernel may put off for milliseconds; for ten
/// times as long as it lost so it works alone, so that helpers never cost more than a tenth.
final class WorkerTeam: Sendable {
    /// For how many times as long as it waited in vain the caller works alone.
    private static let caution: UInt64 = 10
    private let helpers: [Helper]
    /// When the caller may call helpers again.
    private let aloneUntil = Atomic<UInt64>(0)

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
        guard !isAlone else { return body(0) }
        withoutActuallyEscaping(body) { body in
            for helper in helpers.prefix(threads - 1) { helper.call(to: body) }
            body(0)
            var lost: UInt64 = 0
            for helper in helpers.prefix(threads - 1) { lost += helper.dismiss() }
            if lost > 0 { aloneUntil.store(Self.now + Self.caution * lost, ordering: .relaxed) }
        }
    }

    private var isAlone: Bool {
        let end = aloneUntil.load(ordering: .relaxed)
        guard end > 0 else { return false }
        if Self.now < end { return true }
        aloneUntil.store(0, ordering: .relaxed)
        return false
    }

    /// Nanoseconds on a clock that only goes forward.
    static var now: UInt64 { DispatchTime.now().uptimeNanoseconds }
}
