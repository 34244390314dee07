import DescentCore
import DescentSIMD

extension Rule where Subject == DescentTestKit.Subject {
    /// That a directional optimizer's own update is a step along its direction.
    static var directions: Rule {
        Rule(
            title: "an update is a step along the direction",
            expectation: """
                makeDirection(_:) and a move by learning rate times direction, which is what happens where a stage stands \
                behind the optimizer, give what update(_:) gives, up to rounding, and leave the same in slots.
                """,
            cases: { [$0.mixture] },
            complaint: { subject, example in
                let branches = subject.driving?.branches ?? []
                guard branches.contains(where: \.optimizer.hasDirection) else { return nil }
                var moved = subject
                moved.driving = DrivingOptimizers(branches.map(Self.moved))
                let usual = try Session.trace(of: subject, example, on: SIMDBackend(threads: 1))
                let trace = try Session.trace(of: moved, example, on: SIMDBackend(threads: 1))
                return trace.difference(from: usual, .closely, "with a stage behind it", "by itself")
            })
    }

    private static func moved(_ branch: OptimizerBranch) -> OptimizerBranch {
        var branch = branch
        if branch.optimizer.hasDirection { branch.stages.insert(Bystander(), at: 0) }
        return branch
    }
}
