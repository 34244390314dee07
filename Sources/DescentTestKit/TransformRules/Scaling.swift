import DescentCore
import DescentSIMD

extension Rule where Subject == DescentTestKit.Subject {
    /// That a stage that sets factors claims to scale.
    static var factors: Rule {
        Rule(
            title: "factors are set by scaling stages alone",
            expectation: """
                step.scale(by:) and step.clip(...) are for stages that conform to GradientScaling, or have the effect .scaling; \
                the factors of others are not carried out. Another stage keeps its factor in a property, and multiplies \
                by it in transform(_:).
                """,
            cases: { $0.transform?.effect == .scaling ? [] : [$0.example([[4, 3], [5]])] },
            complaint: { subject, example in
                guard let effect = subject.transform?.effect else { return nil }
                var session = try Session(subject, example, on: SIMDBackend(threads: 1))
                for step in 0..<example.steps { _ = try session.step(.init(step)) }
                return session.log.setsFactors ? "it sets factors, and its effect is \(effect)" : nil
            },
            // Where no probe takes note of it, the engine stops the program.
            isFundamental: true)
    }

    /// That a stage that claims to scale does nothing else.
    static var scaling: Rule {
        Rule(
            title: "a scaling stage does nothing but scale",
            expectation: """
                GradientScaling, or the effect .scaling, is for stages that set factors in prepare(_:). Their transform(_:) is \
                never called and their slots are never written; a stage that works on elements has the effect .arbitrary, \
                or .linear.
                """,
            cases: { $0.transform?.effect == .scaling ? [$0.example([[4, 3], [5]], steps: 1)] : [] },
            complaint: { subject, example in
                guard var transform = subject.transform else { return nil }
                let (backend, layout) = (SIMDBackend(threads: 1), try example.layout)
                try transform.configure(for: layout)
                if !transform.slots.isEmpty {
                    return "it declares the slot \"\(transform.slots[0].name)\", which nothing can write to"
                }
                let access = TensorAccess(backend, layout)
                let gradients = example.gradients(step: 0, of: layout)
                var results = access.tensors(gradients)
                let configured = transform
                results.makeUnique()
                let sweep = Sweep(
                    gradients: results, parameters: access.tensors(example.parameters(of: layout)), output: results,
                    blocks: access.blocks)
                let uses = UndeclaredUses()
                access.run(sweep) { block, _ in
                    uses.watch(&block)
                    configured.transform(&block)
                    block.store()
                }
                for (parameter, (before, after)) in zip(layout, zip(gradients, access.values(of: results)))
                where zip(before, after).contains(where: { !$0.isSame(as: $1) }) {
                    return "its transform(_:) makes \(after) of \(before) in \"\(parameter.name)\""
                }
                return nil
            })
    }
}
