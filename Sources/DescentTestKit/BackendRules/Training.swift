import DescentCore
import DescentOptimizers
import DescentSIMD
import DescentTransforms

/// Pipelines that a backend is to carry out.
enum TrainingChain: CaseIterable, CustomStringConvertible {
    case clipped, accumulated, clamped, proposed, masked, whole

    var stages: [any Stage] {
        switch self {
        case .clipped: [Unscale(.static(4)), Centralize(), ClipByNorm(2), ClipByGlobalNorm(1)]
        case .accumulated: [Accumulate(steps: 3, reduction: .weighted), Centralize(), ClipByGlobalNorm(1, norm: .l1)]
        case .clamped: [ClipByGlobalNorm(3), ClipByValue(0.25), Centralize(), ClipAdaptively(factor: 0.5)]
        case .proposed: [Accumulate(steps: 2, nonFinite: .dropMicroBatch), Normalize()]
        case .masked: [ClipByGlobalNorm(2)]
        case .whole: [TopK(share: 0.4), ClipByGlobalNorm(1)]
        }
    }

    var optimizer: any Driving {
        switch self {
        // With a large epsilon, rounding is not magnified by dividing by what is almost 0.
        case .clipped: AdamW(learningRate: 0.1, epsilon: 0.1)
        case .accumulated: SGD(learningRate: 0.1, momentum: 0.9)
        case .clamped: RMSProp(learningRate: 0.1, epsilon: 0.1)
        case .proposed: LAMB(learningRate: 0.1, epsilon: 0.1).averagingParameters(decay: 0.5)
        case .masked:
            SGD(learningRate: 0.1, momentum: 0.5).then {
                Cautious(); TrustRatio(maximum: 2); Lookahead(synchronizationPeriod: 2)
            }
        case .whole: Factored()
        }
    }

    /// The optimizer and what stands behind it.
    var names: String {
        optimizer.branches.flatMap { [$0.optimizer.name] + $0.stages.map(\.name) }.joined(separator: ", ")
    }

    var description: String { "\(stages.map(\.name)) before \(names)" }

    /// What the pipeline does on a backend.
    func trace(_ example: Case, on backend: some TensorBackend, isStreamed: Bool = false) throws -> Trace {
        try Session.trace(
            of: DescentTestKit.Subject(optimizer, [], parameterNames: []), example, on: backend,
            .init(isStreamed: isStreamed, earlier: stages))
    }
}

extension Rule {
    /// That whole pipelines train as they do on the reference backend.
    static func training<Backend: TensorBackend>() -> Rule where Subject == BackendSubject<Backend> {
        Rule(
            title: "pipelines train as they do on SIMDBackend",
            expectation: """
                Whole pipelines, whether gradients are handed over together or one by one, give what SIMDBackend gives, up \
                to rounding. Means of rows that one sweep leaves for the next are those of the same gradients.
                """,
            cases: { $0.mixtures(steps: 4) },
            complaint: { subject, example in
                for chain in TrainingChain.allCases {
                    let expected = try chain.trace(example, on: SIMDBackend(threads: 1))
                    for isStreamed in [false, true] {
                        let found = try chain.trace(example, on: subject.backend, isStreamed: isStreamed)
                        if let difference = found.difference(
                            from: expected, .closely, isStreamed ? "one by one" : "together", "on SIMDBackend")
                        {
                            return "\(chain): \(difference)"
                        }
                    }
                }
                return nil
            })
    }

    /// That the number of threads does not matter.
    static func backendThreads<Backend: TensorBackend>() -> Rule where Subject == BackendSubject<Backend> {
        Rule(
            title: "the same bits with any number of threads",
            expectation: """
                Blocks are cut the same way for any number of threads, what is measured of one block does not depend on \
                others, and threads share no scratch.
                """,
            cases: { $0.withThreads == nil ? [] : [$0.example([[60, 50], [300], [40, 3, 3], [1, 900]], steps: 3)] },
            complaint: { subject, example in
                guard let withThreads = subject.withThreads else { return nil }
                for chain in TrainingChain.allCases {
                    let single = try chain.trace(example, on: withThreads(1))
                    for threads in [2, 5] {
                        let parallel = try chain.trace(example, on: withThreads(threads))
                        if let difference = parallel.difference(
                            from: single, .bits, "with \(threads) threads", "with one")
                        {
                            return "\(chain): \(difference)"
                        }
                    }
                }
                return nil
            })
    }

    /// That no step asks for memory once the first are over.
    static func backendAllocations<Backend: TensorBackend>() -> Rule where Subject == BackendSubject<Backend> {
        Rule(
            title: "no step allocates memory once the first are over",
            expectation: """
                Scratch belongs to the workspace, and is made by the first sweep that needs it. (Declare .allocates if speed \
                is not what the backend is for.)
                """,
            cases: { subject in
                let isCounted = AllocationCount.areCounted && !subject.declarations.contains(.allocates)
                return isCounted ? [subject.example([[300, 5], [12], [5, 4, 3], []], steps: 20)] : []
            },
            complaint: { subject, example in
                let (backend, layout) = (subject.withThreads?(1) ?? subject.backend, try example.layout)
                for chain in TrainingChain.allCases {
                    let parts = PipelineParts(stages: chain.stages, optimizer: chain.optimizer)
                    if let complaint = try parts.allocations(example, layout, on: backend).complaint {
                        return "\(chain.stages.map(\.name)) before \(chain.names): \(complaint) in "
                            + "\(example.steps) steps"
                    }
                }
                return nil
            })
    }
}
