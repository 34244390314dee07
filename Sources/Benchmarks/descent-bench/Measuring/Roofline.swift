/// The fastest that a chain's step could be: what it is measured in turns with.
protocol Roofline {
    /// Runs the passes that stand for one step.
    func step(of subject: Subject) -> StepTime
}

extension BenchmarkChain.RooflineKind {
    /// What stands for the fastest step of a subject.
    func passes(for subject: Subject) throws -> any Roofline {
        switch self {
        case .kernels(let isAdam): KernelPasses(for: subject, isAdam: isAdam)
        case .bytes: try BarePasses(for: subject)
        }
    }
}
