import Descent

/// The training of a host's model with Descent in front, as its user writes it, for the checks that hold for every host.
protocol HostTraining {
    /// Gradients as the host hands them to its user.
    associatedtype Gradients
    /// What the host is like.
    static var title: String { get }
    /// The file that has the glue, and what its marks add for passages that not every training of the file needs.
    static var glue: (file: String, part: String) { get }
    /// The name, in the layout, of a parameter whose gradient can be spoiled.
    static var spoiled: String { get }

    /// Begins a training with windows of so many batches.
    init(window: Int) throws

    /// The gradients of a batch at the present parameters, with a NaN in those of a parameter.
    func gradients(_ batch: Int, spoiling name: String?) -> Gradients
    /// Gradients that do not fit the model.
    func wrongGradients() -> Gradients
    /// Takes a step.
    mutating func step(_ gradients: Gradients) throws -> StepOutcome
    /// Takes a step by a call that cannot throw, and says whether it has an outcome; nil where the host has no such call.
    mutating func stepKeepingError(_ gradients: Gradients) -> Bool?

    /// All parameters, and masters that are kept of them.
    var values: [[Float]] { get }
    /// Holds on to the parameters as a user does, and tells later what those are then; nothing where they are updated in place.
    func holdParameters() -> () -> [[Float]]
    /// What gradients are now.
    func read(_ gradients: Gradients) -> [[Float]]

    /// Another training that goes on from a checkpoint of Descent's part, written here, and a copy of the host's.
    func resumed(by path: String, window: Int) throws -> Self
    /// Where the host's own operations end: the gradient clipped to a norm of 1, and its own optimizer.
    static func ownOperations(steps: Int) -> [[Float]]
}

extension HostTraining {
    func gradients(_ batch: Int) -> Gradients { gradients(batch, spoiling: nil) }

    var bits: [[UInt32]] { values.map { $0.map(\.bitPattern) } }
}

/// The chain in front of every host.
@ChainBuilder func stages(_ window: Int) -> [any Stage] {
    Accumulate(steps: window)
    ClipByGlobalNorm(1)
}
