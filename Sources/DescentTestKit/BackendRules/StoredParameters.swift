import DescentCore

extension Rule {
    /// That parameters are read and written where a sweep says, in the type that they are stored in.
    static func storedParameters<Backend: TensorBackend>() -> Rule where Subject == BackendSubject<Backend> {
        Rule(
            title: "parameters are updated where the sweep says",
            expectation: """
                Where takesStoredParameters is true, a sweep writes the parameters of all its blocks to \
                sweep.updatedParameters, if there are such, and only reads the others; with onlyReadsParameters it writes \
                none. Parameters of 16 bits are handed out as their masters where those round to them, else as they are; what \
                becomes of them is the master, and rounded to nearest the parameter.
                """,
            cases: { $0.backend.takesStoredParameters ? $0.mixtures() : [] },
            complaint: { subject, example in
                let layout = try example.layout
                let access = TensorAccess(subject.backend, layout)
                return elsewhere(access, example) ?? masters(access, example)
            })
    }

    /// Adds 1 to the parameters of every other tensor.
    private static func add<Backend: TensorBackend>(
        _ access: TensorAccess<Backend>, _ sweep: borrowing Sweep<Backend.Tensors>
    ) {
        access.run(sweep) { block, _ in
            guard block.parameterIndex % 2 == 0 else { return }
            let elements = block.beginAccess()
            for index in elements.parameters.indices { elements.parameters[index] += 1 }
            block.endAccess(elements)
        }
    }

    /// What becomes of values if 1 is added to those of every other tensor.
    private static func sums(_ values: [[Float]]) -> [[Float]] {
        values.enumerated().map { index, values in index % 2 == 0 ? values.map { $0 + 1 } : values }
    }

    private static func elsewhere<Backend: TensorBackend>(
        _ access: TensorAccess<Backend>, _ example: Case
    ) -> String? {
        let values = example.parameters(of: access.layout)
        let (parameters, updated) = (access.tensors(values), access.backend.makeTensors(access.layout, .float32))
        var sweep = Sweep(gradients: parameters, parameters: parameters, blocks: access.blocks)
        sweep.updatedParameters = updated
        add(access, sweep)
        if access.values(of: parameters) != values { return "parameters that are updated elsewhere have changed" }
        let found = access.values(of: updated)
        return difference(found, sums(values), "the updated parameters", access.layout)
    }

    private static func masters<Backend: TensorBackend>(
        _ access: TensorAccess<Backend>, _ example: Case
    ) -> String? {
        let (layout, values) = (access.layout, example.parameters(of: access.layout))
        for type in [ElementType.float16, .bfloat16] {
            let parameters = access.tensors(values, type)
            // Of the last tensor the master is another number's.
            let known = values.enumerated().map { $0 < layout.count - 1 ? $1 : $1.map { $0 + 8 } }
            let masters = access.tensors(known)
            var sweep = Sweep(gradients: parameters, parameters: parameters, blocks: access.blocks)
            sweep.masterParameters = masters
            sweep.onlyReadsParameters = true
            add(access, sweep)
            if access.values(of: masters) != known { return "a sweep that only reads parameters has changed masters" }
            sweep.onlyReadsParameters = false
            add(access, sweep)
            let start = values.enumerated().map { index, values in
                index < layout.count - 1 ? values : values.map(type.rounded)
            }
            let expected = sums(start).enumerated().map { $0 % 2 == 0 ? $1 : known[$0] }
            if let problem = difference(access.values(of: masters), expected, "the masters", layout) { return problem }
            let rounded = sums(start).map { $0.map(type.rounded) }
            if let problem = difference(access.values(of: parameters), rounded, "the parameters in \(type)", layout) {
                return problem
            }
        }
        return nil
    }

    private static func difference(
        _ found: [[Float]], _ expected: [[Float]], _ what: String, _ layout: ParameterLayout
    ) -> String? {
        guard let index = layout.indices.first(where: { found[$0] != expected[$0] }) else { return nil }
        return "\(what) hold \(found[index]) in \"\(layout[index].name)\" and should hold \(expected[index])"
    }
}
