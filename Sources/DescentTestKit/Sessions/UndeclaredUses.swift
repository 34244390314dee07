import DescentCore
import Synchronization

/// Takes note of what a stage or an optimizer uses of blocks without having declared it, instead of stopping the program.
final class UndeclaredUses: Sendable {
    private final class Notes: Sendable {
        let uses = Mutex(Set<UndeclaredUse>())
    }

    private let notes: Notes
    private let stage: StageAtWork

    init() {
        let notes = Notes()
        self.notes = notes
        stage = StageAtWork("the subject") { use in
            notes.uses.withLock { (uses: inout Set<UndeclaredUse>) -> Void in uses.insert(use) }
        }
    }

    /// Has what is done to a block noted here, as long as this object lives.
    func watch(_ block: inout some GradientBlock) { block.slotAccess.stage = stage }

    /// The slot that was used, in words; nil if none was.
    var slot: String? { first { $0 != .parameters } }
    /// That parameters were read, in words; nil if they were not.
    var parameters: String? { first { $0 == .parameters } }

    private func first(where condition: (UndeclaredUse) -> Bool) -> String? {
        notes.uses.withLock { uses in uses.filter(condition).map(\.description).min() }.map { "it uses \($0)" }
    }
}
