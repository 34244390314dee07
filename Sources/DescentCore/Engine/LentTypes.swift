/// How the tensors are stored that a host lends, so that a change between steps is noticed.
///
/// A model that was cast has parameters, and gradients, that are not what slots and masters were made for.
package struct LentTypes: Sendable {
    private var parameters: [ElementType?] = []
    private var gradients: [ElementType?] = []

    package init() {}

    /// What is lent in one call.
    package enum Role: String {
        case parameter, gradient
    }

    /// Refuses a tensor that is stored in another way than in the steps before.
    ///
    /// - Parameters:
    ///   - types: How each tensor is stored; nil for one that is not lent in this call. Empty where none is.
    ///   - role: What they are.
    ///   - layout: Their names.
    /// - Throws: ``DescentError`` with code `elementTypeMismatch` that names the first.
    package func requireSame(
        _ types: [ElementType?], as role: Role, _ layout: ParameterLayout
    ) throws(DescentError) {
        let known = role == .parameter ? parameters : gradients
        for (index, (before, now)) in zip(known, types).enumerated() {
            guard let before, let now, before != now else { continue }
            let name = layout[index].name.quotedBriefly
            throw DescentError(
                .elementTypeMismatch, parameter: layout[index].name,
                "The \(role) \(name) was \(before) in the steps before, and is \(now) now. If the model was cast on purpose, "
                    + "say so with relayout(for:).")
        }
    }

    /// Keeps how tensors are stored that have been lent.
    package mutating func note(_ types: [ElementType?], as role: Role) {
        switch role {
        case .parameter: Self.note(types, in: &parameters)
        case .gradient: Self.note(types, in: &gradients)
        }
    }

    private static func note(_ types: [ElementType?], in known: inout [ElementType?]) {
        guard !known.isEmpty else {
            known = types
            return
        }
        for (index, type) in types.enumerated() where known[index] == nil { known[index] = type }
    }
}
