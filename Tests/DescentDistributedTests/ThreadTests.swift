import DescentDistributed
import DescentErrors
import DistributedScenarios
import Testing

/// What ranks do that are threads of this process; `Tests/DistributedScenarios` holds what each of them runs and checks.
@Suite struct ThreadTests {
    @Test(arguments: Scenario.all.keys.sorted(), 1...4)
    func `what has to hold holds on every rank`(scenario: String, ranks: Int) throws {
        try expectSuccess(of: Scenario.all[scenario], ranks)
    }

    @Test(arguments: Scenario.disagreements.keys.sorted(), 2...4)
    func `ranks that do not agree all throw`(scenario: String, ranks: Int) throws {
        try expectSuccess(of: Scenario.disagreements[scenario], ranks)
    }

    private func expectSuccess(of scenario: Scenario.Body?, _ ranks: Int) throws {
        let body = try #require(scenario)
        for (rank, result) in ThreadJob.run(ranks: ranks, body).enumerated() {
            #expect(throws: Never.self, "rank \(rank)") { try result.get() }
        }
    }

    @Test(arguments: 2...4)
    func `a rank that has come to its end while others step is told of`(ranks: Int) throws {
        let scenario = try #require(Scenario.endings["fewerSteps"])
        for (rank, result) in ThreadJob.run(ranks: ranks, scenario).enumerated() {
            let error = try #require(throws: DescentError.self) { try result.get() }
            #expect(error.code == (rank == 0 ? .processMismatch : .processFailure))
            #expect(error.message.contains("ank 0 has come to its end"), "rank \(rank): \(error)")
        }
    }

    @Test(arguments: 2...4)
    func `what one rank throws all others throw, with its rank`(ranks: Int) throws {
        let scenario = try #require(Scenario.endings["error"])
        for (rank, result) in ThreadJob.run(ranks: ranks, scenario).enumerated() {
            guard rank < ranks - 1 else {
                #expect(throws: Failure.self) { try result.get() }
                continue
            }
            let error = try #require(throws: DescentError.self) { try result.get() }
            #expect(error.code == .processFailure)
            #expect(
                error.message == "Rank \(ranks - 1) has ended because of an error: the data ends in mid-word",
                "rank \(rank)")
        }
    }
}
