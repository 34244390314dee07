public import DescentCore
public import Testing

/// Names of parameters in the kit's cases, unless others are given.
public let defaultParameterNames = ["body.weight", "body.bias", "head.weight", "head.bias"]

/// Checks that the engine can rely on a transform; call it in a test of your own.
///
/// ```swift
/// @Test func `the engine can rely on it`() { verify(GradientNoise(deviation: 0.1)) }
/// ```
/// Every rule that is broken is an issue of the test at the line of the call, with what was expected and the smallest
/// case that shows it. The transform is run in pipelines over `SIMDBackend`, in the order that it declares to need. With
/// settings whose limits the gradients of a normal distribution reach, more of it is seen.
///
/// The rule that no step allocates memory is checked where it can be: on Linux with glibc. A debug build allocates for
/// values that an optimized one keeps in registers, so there only allocations of 1,024 bytes and more count: run the
/// test in a release build too (`swift test -c release`), which catches every one.
///
/// - Parameters:
///   - transform: The transform, as a user would put it in a chain.
///   - backend: Another backend that has to give the same results, to a relative error of 1e-4; nil for none.
///   - declarations: What it does on purpose that would otherwise break a rule.
///   - parameterNames: The names of parameters, for a transform that insists on some.
///   - sourceLocation: Where issues are reported.
public func verify(
    _ transform: some GradientTransform, on backend: (any TensorBackend)? = nil,
    declaring declarations: Declarations = [],
    parameterNames: [String] = defaultParameterNames, sourceLocation: SourceLocation = #_sourceLocation
) {
    var subject = Subject(transform, declarations, parameterNames: parameterNames)
    subject.backend = backend
    record(Rules.violations(of: subject), by: subject.name, sourceLocation)
}

/// Checks that the engine can rely on an optimizer; call it in a test of your own.
///
/// ```swift
/// @Test func `the engine can rely on it`() { verify(SignSGD(learningRate: 0.1)) }
/// ```
/// It is run with learning rate and weight decay as set, behind no stage; rules are checked as those of transforms are.
///
/// - Parameters:
///   - optimizer: The optimizer, with what stands behind it, as a user would put it at the end of a chain.
///   - backend: Another backend that has to give the same results, to a relative error of 1e-4; nil for none.
///   - declarations: What it does on purpose that would otherwise break a rule.
///   - parameterNames: The names of parameters, for an optimizer with groups that insist on some.
///   - sourceLocation: Where issues are reported.
public func verify(
    _ optimizer: some Driving, on backend: (any TensorBackend)? = nil, declaring declarations: Declarations = [],
    parameterNames: [String] = defaultParameterNames, sourceLocation: SourceLocation = #_sourceLocation
) {
    var subject = Subject(optimizer, declarations, parameterNames: parameterNames)
    subject.backend = backend
    record(Rules.violations(of: subject), by: subject.name, sourceLocation)
}

private func record(_ violations: [Violation], by name: String, _ sourceLocation: SourceLocation) {
    for violation in violations {
        Issue.record(Comment(rawValue: "\(name) \(violation)"), sourceLocation: sourceLocation)
    }
}

/// Checks that the engine can rely on a backend; call it in a test of your own.
///
/// ```swift
/// @Test func `the engine can rely on it`() {
///     verify(MetalBackend()) { MetalBackend(threads: $0) }
/// }
/// ```
/// Each operation on blocks is compared with its default, and whole pipelines with `SIMDBackend`.
///
/// - Parameters:
///   - backend: The backend.
///   - declarations: What it does on purpose that would otherwise break a rule.
///   - sourceLocation: Where issues are reported.
///   - withThreads: Makes the backend with a number of threads, for the rule that it does not matter; nil where there
///     is no such setting. Let it use threads for the few thousand elements of a test.
public func verify<Backend: TensorBackend>(
    _ backend: Backend, declaring declarations: Declarations = [], sourceLocation: SourceLocation = #_sourceLocation,
    withThreads: (@Sendable (Int) -> Backend)? = nil
) {
    let subject = BackendSubject(backend: backend, declarations: declarations, withThreads: withThreads)
    record(
        Rules.violations(of: subject, ofSubject: Rules.ofBackends()), by: String(describing: Backend.self),
        sourceLocation)
}
