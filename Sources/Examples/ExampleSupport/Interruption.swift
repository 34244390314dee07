import Foundation
import Synchronization

/// Whether the program has been asked to end, by Ctrl-C or by `kill`; whoever asks can save first.
package enum Interruption {
    /// The number of the signal that has arrived; 0 if none has.
    private static let arrived = Atomic<CInt>(0)

    /// From now on the first such signal is remembered instead of ending the program; the second ends it at once.
    package static func catchSignals() {
        // Before a signal can arrive: the handler must not be the first to ask for it.
        arrived.store(0, ordering: .relaxed)
        for number in [SIGINT, SIGTERM] {
            signal(number) { number in
                Interruption.arrived.store(number, ordering: .relaxed)
                Interruption.stopCatching()
            }
        }
    }

    /// From now on such a signal ends the program at once again.
    package static func stopCatching() {
        for number in [SIGINT, SIGTERM] { signal(number, SIG_DFL) }
    }

    /// The status to exit with if a signal has arrived, as a shell reports it: 128 and the signal's number.
    package static var status: CInt? {
        let number = arrived.load(ordering: .relaxed)
        return number == 0 ? nil : 128 + number
    }
}
