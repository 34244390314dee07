import DescentCore
import DescentSIMD

extension Rule where Subject == DescentTestKit.Subject {
    /// That gradients may arrive one by one, or be transformed where they lie.
    static var streaming: Rule {
        Rule(
            title: "gradients in place, together and one by one give the same bits",
            expectation: """
                transform(_:) reads parameters only if .parameters or .parameterNorm is among the requirements, and relies \
                on no sweep being over all tensors: gradients that arrive one by one are measured before parameters are \
                at hand.
                """,
            cases: { [$0.mixture] },
            complaint: { subject, example in
                let backend = SIMDBackend(threads: 1, blockLength: 16)
                var options = Session<SIMDBackend>.Options(later: [NormWitness()])
                let together = try Session.trace(of: subject, example, on: backend, options)
                options.isStreamed = true
                let streamed = try Session.trace(of: subject, example, on: backend, options)
                if let difference = streamed.difference(
                    from: together, .bits, "where gradients arrive one by one", "where they are handed over together")
                {
                    return difference
                }
                return try differenceInPlace(subject, example, together, on: backend)
            })
    }

    private static func differenceInPlace(
        _ subject: Subject, _ example: Case, _ together: Trace, on backend: SIMDBackend
    ) throws -> String? {
        // An optimizer transforms nothing, and what stands behind one is in no chain alone.
        guard subject.transform != nil, !subject.needsUpdates else { return nil }
        let layout = try example.layout
        let access = TensorAccess(backend, layout)
        let parts = subject.parts(log: ProbeLog(), later: [NormWitness()])
        var chain = try GradientChain(for: layout, on: backend) { parts.stages }
        for (step, expected) in together.steps.enumerated() {
            var gradients = access.tensors(example.gradients(step: step, of: layout))
            let parameters = access.tensors(example.parameters(of: layout))
            guard try chain.transform(&gradients, parameters: parameters).isApplied else { continue }
            let found = access.values(of: gradients)
            for (index, parameter) in layout.enumerated() {
                let (found, wanted) = (found[index], expected.gradient?[index] ?? [])
                guard let element = zip(found, wanted).enumerated().first(where: { !$1.0.isSame(as: $1.1) })
                else { continue }
                return "in step \(step + 1) a chain alone leaves \(element.element.0) at [\(element.offset)] of "
                    + "\"\(parameter.name)\", and one in front of an optimizer \(element.element.1)"
            }
        }
        return nil
    }
}

extension Float {
    /// Whether two numbers are equal, or both NaN.
    func isSame(as other: Float) -> Bool { self == other || isNaN && other.isNaN }
}
