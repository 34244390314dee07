/// A stage or an optimizer that is handed blocks: to name it where it uses what it has not declared.
package final class StageAtWork: Sendable {
    /// Its name, as in errors.
    let name: String
    /// Takes note of what it uses without having declared it, and has it go on; nil stops the program.
    let audit: (@Sendable (UndeclaredUse) -> Void)?

    package init(_ name: String, audit: (@Sendable (UndeclaredUse) -> Void)? = nil) {
        self.name = name
        self.audit = audit
    }
}

/// Something of a block that a stage uses without having declared it.
package enum UndeclaredUse: Sendable, Hashable, CustomStringConvertible {
    /// The slot at an offset from its first.
    case slot(Int)
    /// The parameters.
    case parameters
    /// The gradient that the optimizer in front of the stage saw.
    case gradient

    /// What it is, and what to do about it: "slot 0, which it does not declare: ...".
    package var description: String {
        switch self {
        case .slot(let index):
            "slot \(index), which it does not declare: name \(index == 0 ? "it" : "\(index + 1) of them") in its slots"
        case .parameters: "the parameters, which it does not declare: add .parameters to its requirements"
        case .gradient:
            "the gradient of an optimizer in front of it, which it does not declare: add .gradient to its requirements"
        }
    }
}

extension SlotAccess {
    /// Tells that the stage at work uses what it has not declared.
    ///
    /// The program stops, unless somebody takes note of it.
    package func report(_ use: UndeclaredUse) {
        guard let audit = stage?.audit else { stopForMisuse("\(stage?.name ?? "A stage") uses \(use).") }
        audit(use)
    }

    /// Whether the first slots, as many as are needed, are declared; it is reported if they are not.
    package func declares(slots needed: Int) -> Bool {
        if needed <= count { return true }
        report(.slot(needed - 1))
        return false
    }

    /// Reports that the parameters are read, if that is not declared.
    package func requireParameters() {
        if !readsParameters { report(.parameters) }
    }

    @usableFromInline
    func reportSlot(_ index: Int) { report(.slot(index)) }
}
