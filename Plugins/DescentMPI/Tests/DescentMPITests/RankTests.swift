import DistributedScenarios
import Testing

/// What several ranks do together; `DistributedScenarios` holds what each of them runs and checks.
@Suite(.serialized)
struct RankTests {
    @Test(arguments: Scenario.all.keys.sorted(), [1, 2, 4])
    func `what has to hold holds on every rank`(scenario: String, ranks: Int) throws {
        let ending = try Job.run("mpi-scenarios", [scenario], ranks: ranks)
        #expect(ending.status == 0, "\(ending.output)")
    }

    @Test(arguments: 1...4)
    func `training can rely on the communicator`(ranks: Int) throws {
        let ending = try Job.run("mpi-scenarios", ["communicator"], ranks: ranks)
        #expect(ending.status == 0, "\(ending.output)")
    }

    @Test func `four ranks learn digits as well as one`() throws {
        let shares = try [1, 4].map { ranks in
            let ending = try Job.run("digits-mpi", [], ranks: ranks)
            try #require(ending.status == 0, "\(ending.output)")
            let share = try #require(ending.output.firstMatch(of: /recognize (\d+\.\d+)%/), "\(ending.output)").1
            return try #require(Double(share))
        }
        #expect(shares[0] > 96)
        #expect(abs(shares[0] - shares[1]) <= 1)
    }

    @Test(arguments: Scenario.disagreements.keys.sorted(), [2, 4])
    func `ranks that do not agree all throw`(scenario: String, ranks: Int) throws {
        let ending = try Job.run("mpi-scenarios", [scenario], ranks: ranks)
        #expect(ending.status == 0, "\(ending.output)")
    }

    @Test(arguments: [2, 4])
    func `a rank that has come to its end while others step ends the job with an error`(ranks: Int) throws {
        let ending = try Job.run("mpi-scenarios", ["fewerSteps"], ranks: ranks)
        #expect(ending.status != 0)
        #expect(ending.output.contains("has come to its end"), "\(ending.output)")
    }

    @Test(.timeLimit(.minutes(1)), arguments: [2, 4])
    func `a rank that waits for one that does not come throws when the limit is over`(ranks: Int) throws {
        let ending = try Job.run("mpi-scenarios", ["silence"], ranks: ranks)
        #expect(ending.status != 0)
        #expect(ending.output.contains("has waited for other ranks for 1.0 seconds"), "\(ending.output)")
    }

    @Test(arguments: [2, 4])
    func `a rank that throws ends the job with its error`(ranks: Int) throws {
        let ending = try Job.run("mpi-scenarios", ["error"], ranks: ranks)
        #expect(ending.status != 0)
        #expect(ending.output.contains("rank \(ranks - 1) of \(ranks): the data ends in mid-word"), "\(ending.output)")
    }

    @Test(.timeLimit(.minutes(2)), arguments: [2, 4])
    func `a rank that is killed ends the job with an error`(ranks: Int) throws {
        let ending = try Job.run("mpi-scenarios", ["death"], ranks: ranks)
        #expect(ending.status != 0)
        #expect(ending.output.contains("signal 9"), "\(ending.output)")
    }
}
