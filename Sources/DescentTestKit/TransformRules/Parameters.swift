import DescentCore
import DescentSIMD

extension Rule where Subject == DescentTestKit.Subject {
    /// That a transform reads parameters only where it says so, and never changes them.
    static var parameters: Rule {
        Rule(
            title: "parameters are read if that is declared, and never changed",
            expectation: """
                A transform changes gradients and its own slots. If it looks at the parameters, .parameters (or \
                .parameterNorm) is among its requirements.
                """,
            cases: { [$0.example([[4, 3], [5]], steps: 2)] },
            complaint: { subject, example in
                guard var transform = subject.transform else { return nil }
                let backend = SIMDBackend(threads: 1)
                let layout = try example.layout
                var session = try Session(subject, example, on: backend)
                let trace = Trace(steps: try (0..<example.steps).map { try session.step(.init($0)) })
                if let use = session.log.uses.parameters { return use }
                let before = example.parameters(of: layout)
                for step in trace.steps {
                    for result in step.results where result.kind == .parameters {
                        if let index = layout.indices.first(where: { result.values[$0] != before[$0] }) {
                            return "it has changed \"\(layout[index].name)\" from \(before[index]) "
                                + "to \(result.values[index])"
                        }
                    }
                }
                try transform.configure(for: layout)
                if transform.requirements.contains(where: \.isOfParameters) { return nil }
                let others = try Session.trace(of: subject, example, on: backend, .init(parameters: 1))
                return zip(trace.steps, others.steps).lazy.compactMap { step, other in
                    other.withoutParameters.difference(
                        from: step.withoutParameters, .numbers, "with other parameters",
                        "with these, though it does not declare .parameters")
                }.first
            },
            isFundamental: true)
    }
}

extension Requirement {
    fileprivate var isOfParameters: Bool {
        switch self {
        case .parameterNorm, .parameters: true
        case .norm, .finite, .nonFiniteCount, .count, .dotProduct, .measured, .gradient: false
        }
    }
}
