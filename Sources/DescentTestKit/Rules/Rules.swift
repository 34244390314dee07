import DescentCore

/// All rules, those first without which others mean nothing.
enum Rules {
    /// The rules of transforms.
    static var ofTransforms: [Rule<Subject>] {
        [
            .building, .slots, .copies, .statistics, .parameters, .measuring, .threads, .blockSizes, .tensorOrder,
            .streaming,
            .sweeps,
            .shapes, .magnitudes, .nonFinite, .scaling, .factors, .linearity, .vetoes, .continuation, .otherBackend,
            .allocations,
        ]
    }

    /// The rules of optimizers.
    static var ofOptimizers: [Rule<Subject>] {
        [
            .slots, .building, .copies, .directions, .threads, .blockSizes, .tensorOrder, .streaming, .shapes,
            .magnitudes, .vetoes,
            .continuation, .otherBackend, .allocations,
        ]
    }

    /// What is wrong with a transform or an optimizer.
    static func violations(of subject: Subject) -> [Violation] {
        violations(of: subject, ofSubject: subject.transform == nil ? ofOptimizers : ofTransforms)
    }

    /// What is wrong with a subject by some rules, up to the first fundamental one that is broken.
    static func violations<Subject>(of subject: Subject, ofSubject rules: [Rule<Subject>]) -> [Violation] {
        var violations: [Violation] = []
        for rule in rules {
            guard let violation = rule.violation(by: subject) else { continue }
            violations.append(violation)
            if rule.isFundamental { break }
        }
        return violations
    }
}

extension Rules {
    /// The rules of backends.
    static func ofBackends<Backend: TensorBackend>() -> [Rule<BackendSubject<Backend>>] {
        [
            .cut(), .visits(), .elements(), .storage(), .storedParameters(), .operations(), .norms(), .training(),
            .backendThreads(),
            .backendAllocations(),
        ]
    }
}
