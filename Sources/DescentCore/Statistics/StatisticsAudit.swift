import Synchronization

/// Takes note of the statistics that a stage reads, for `DescentTestKit`.
package final class StatisticsAudit: Sendable {
    /// What has been read so far.
    package struct Notes: Sendable {
        /// What was read and had been declared.
        package fileprivate(set) var declared: Set<Requirement> = []
        /// What was read although it had not been declared.
        package fileprivate(set) var undeclared: Set<Requirement> = []
    }

    private let mutex = Mutex(Notes())

    /// An audit that has seen nothing yet.
    package init() {}

    /// What has been read so far.
    package var notes: Notes { mutex.withLock { $0 } }

    func note(_ requirement: Requirement, isDeclared: Bool) {
        mutex.withLock { (notes: inout Notes) -> Void in
            if isDeclared { notes.declared.insert(requirement) } else { notes.undeclared.insert(requirement) }
        }
    }
}
