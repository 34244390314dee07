/// Which gradients are absent in the present micro-batch, and which parameters take no part in the step because of that.
struct AbsentGradients: Sendable {
    /// For each parameter, whether the present micro-batch has no gradient of it; empty if it has all.
    var isAbsent: [Bool] = []
    /// Whether what becomes of them has memory of its own.
    var haveResults = false
    /// For each parameter, whether it takes no part in what is being done; empty if all do.
    var isLeftOut: [Bool] = []

    /// For each parameter, whether it takes no part, or others leave it out as well; empty if none is left out.
    func leftOut(with others: [Bool]) -> [Bool] {
        if isLeftOut.isEmpty || others.isEmpty { return isLeftOut.isEmpty ? others : isLeftOut }
        return zip(isLeftOut, others).map { $0 || $1 }
    }
}
