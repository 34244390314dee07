/// Which followers of parameters, and averages, begin in the next update although others have been before.
struct FollowerStarts: Sendable {
    /// The followers of which nothing was resumed.
    private(set) var late: [Int] = []
    /// For each parameter, whether its followers go on although its optimizer begins; empty if none do.
    private(set) var goOn: [Bool] = []
    /// Whether nothing has been updated since the engine was built, which may have frozen other parameters.
    private(set) var isPending = true

    /// Has a follower begin.
    mutating func begin(_ follower: Int) { late.append(follower) }

    /// Has followers of some parameters go on.
    mutating func keep(_ isKept: [Bool]) { goOn = isKept.contains(true) ? isKept : [] }

    /// Has those go on that do in an engine of the same components and parameters.
    mutating func keep(_ former: FollowerStarts) {
        if goOn.isEmpty { goOn = former.goOn }
    }

    /// Whether followers of a parameter that has had no update begin with it.
    func beginWith(_ parameter: Int) -> Bool { goOn.isEmpty || !goOn[parameter] }

    /// Notes that an update was made, with which those have begun that were to.
    mutating func noteUpdate() {
        if !late.isEmpty { late = [] }
        isPending = false
    }
}
