/// Which branch moves each parameter.
struct ParameterOwners: Sendable {
    /// For each parameter, the position of its branch; nil for one that a stage has frozen.
    let branches: [Int?]

    /// Gives each parameter to the first branch that takes it.
    ///
    /// - Throws: ``DescentError`` with code `invalidSetting` for a parameter that no branch takes, and for a branch that
    ///   takes none although it has to.
    init(_ branches: [OptimizerBranch], of layout: ParameterLayout, isFrozen: [Bool]) throws(DescentError) {
        var owners: [Int?] = []
        for (index, parameter) in layout.enumerated() {
            let owner = branches.firstIndex { $0.selection?.contains(parameter) ?? true }
            owners.append(isFrozen[index] ? nil : owner)
            guard owner == nil, !isFrozen[index], !branches.isEmpty else { continue }
            throw DescentError(
                .invalidSetting, parameter: parameter.name,
                "No optimizer takes \(parameter.name.quotedBriefly) (shape \(parameter.shape)). Add one without a selection at "
                    + "the end, for all that are left; or freeze the parameter.")
        }
        self.branches = owners
        for (index, branch) in branches.enumerated() where !branch.mayBeUnused && !layout.isEmpty {
            let name = branch.optimizer.name
            // One that nothing restricts may find everything frozen.
            if index == 0, branch.selection == nil { continue }
            try DescentError.require(
                owners.contains(index), name,
                "no parameter is left for \(name)\(branch.selection.map { ", which takes those \($0.label)" } ?? ""). Take it "
                    + "away, or say that it may be unused: `.only(..., mayBeUnused: true)`.")
            if let selection = branch.selection { try selection.requireMatch(in: layout, of: name) }
        }
    }

    /// For each parameter, whether a branch moves it.
    func isOwned(by branch: Int) -> [Bool] { branches.map { $0 == branch } }
}
