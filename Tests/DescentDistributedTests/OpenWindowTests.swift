import Descent
import DescentDistributed
import DistributedScenarios
import Testing

/// Windows that are saved open, of ranks that each gather their own.
@Suite struct OpenWindowTests {
    private let layout: ParameterLayout
    private var parameters: TensorSet

    init() throws {
        layout = try ParameterLayout([ParameterDescription("weight", shape: [3])])
        parameters = TensorSet(zeros: layout)
    }

    private func world(_ rank: Int, of rankCount: Int) throws -> ProcessGroup {
        try ProcessGroup(over: EchoCommunicator(rank: rank, among: rankCount))
    }

    private func pipeline(
        _ world: ProcessGroup, resuming state: PipelineState<TensorSet>? = nil,
        _ policy: ResumptionPolicy = .sameStages
    ) throws -> Pipeline {
        let stages: [any Stage] = [Accumulate(steps: 2), AllReduce(over: world, bucketLength: 8)]
        let optimizer = SGD(learningRate: 1)
        guard let state else { return try Pipeline(for: parameters, { stages }, driving: { optimizer }) }
        return try Pipeline(resuming: state, policy, for: parameters, { stages }, driving: { optimizer })
    }

    private func gradients(_ number: Float) throws -> TensorSet {
        try TensorSet(["weight": [number, 2 * number, 3]], layout: layout)
    }

    @Test mutating func `goes on in the rank that gathered it`() throws {
        let world = try world(1, of: 2)
        var first = try pipeline(world)
        for number in 1...3 { _ = try first.step(&parameters, gradients: gradients(Float(number))) }
        #expect(first.window?.isOpen == true)
        var second = try pipeline(world, resuming: first.state)
        var resumed = parameters
        #expect(try first.step(&parameters, gradients: gradients(4)).isApplied)
        #expect(try second.step(&resumed, gradients: gradients(4)).isApplied)
        #expect(resumed == parameters)
        #expect(resumed.layout.allSatisfy { parameter in resumed[parameter.name].contains { $0 != 0 } })
    }

    @Test mutating func `is refused in another, and in a job of another size`() throws {
        var first = try pipeline(world(0, of: 2))
        _ = try first.step(&parameters, gradients: gradients(1))
        let state = try first.state
        for (rank, rankCount, name) in [(1, 2, "process 1 of 2"), (0, 3, "process 0 of 3"), (0, 1, "a process alone")] {
            let error = #expect(throws: DescentError.self) {
                _ = try pipeline(world(rank, of: rankCount), resuming: state)
            }
            #expect(error?.code == .stateMismatch)
            #expect(error?.message.contains("the open window is that of process 0 of 2, and this is \(name)") == true)
        }
        let afresh = try pipeline(world(1, of: 2), resuming: state, .matchingStages)
        #expect(afresh.window?.isOpen == false)
    }

    @Test mutating func `goes on in any once it is closed`() throws {
        var first = try pipeline(world(0, of: 2))
        for number in 1...2 { _ = try first.step(&parameters, gradients: gradients(Float(number))) }
        let next = try pipeline(world(2, of: 3), resuming: first.state)
        #expect(next.appliedSteps == 1)
        #expect(next.window?.process == ProcessRank(2, of: 3))
    }
}
