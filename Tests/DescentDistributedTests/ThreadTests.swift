import Descent
import DistributedScenarios
import Testing

@testable import DescentDistributed

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

    @Test(arguments: 2...4)
    func `what one rank throws in its backward pass all others throw, who wait for its gradients`(ranks: Int) throws {
        let results = ThreadJob.run(ranks: ranks) { world in
            let layout = try ParameterLayout([
                ParameterDescription("weight", shape: [30, 40]), ParameterDescription("bias", shape: [30]),
            ])
            var parameters = TensorSet(zeros: layout)
            let gradients = parameters
            var pipeline = try Pipeline(for: parameters, on: SIMDBackend(threads: 1)) {
                AllReduce(over: world, bucketLength: 100)
            } driving: {
                SGD(learningRate: 1)
            }
            for step in 0..<3 {
                try pipeline.receive(gradients, of: 1)
                if step == 2, world.rank == 0 { throw Failure("out of memory") }
                try pipeline.receive(gradients, of: 0)
                _ = try pipeline.step(&parameters)
            }
        }
        for result in results.dropFirst() {
            let error = try #require(throws: DescentError.self) { try result.get() }
            #expect(error.code == .processFailure)
            #expect(error.message.contains("Rank 0 takes no part in this step"))
            #expect(error.message.contains("out of memory"))
        }
        #expect(throws: Failure.self) { try results[0].get() }
    }

    @Test func `a rank that runs another version of the library is named`() throws {
        let results = ThreadJob.run(on: ThreadCommunicator.connected(ranks: 2)) { communicator in
            if communicator.rank == 0 { return try ProcessGroup(over: communicator).barrier() }
            let control = try communicator.openChannel()
            let memory = UnsafeMutableRawBufferPointer.allocate(
                byteCount: 3 * Announcement.byteCount, alignment: 8)
            defer { memory.deallocate() }
            memory.initializeMemory(as: UInt8.self, repeating: 0)
            let transfer = try communicator.beginGathering(
                UnsafeRawBufferPointer(rebasing: memory[..<Announcement.byteCount]),
                into: UnsafeMutableRawBufferPointer(rebasing: memory[Announcement.byteCount...]), on: control)
            _ = try communicator.wait(for: transfer, atMost: .seconds(20))
        }
        let error = try #require(throws: DescentError.self) { try results[0].get() }
        #expect(error.code == .processMismatch)
        #expect(error.message.hasPrefix("Rank 1 runs another version of Descent."))
    }
}
