/// The tensors of one step, as they have been handed over.
public struct StepTensors<Tensors: TensorStorage> {
    /// Whether there is a micro-batch; here so that nobody has to look at its gradients to see that.
    private(set) var hasGradients: Bool
    /// Whether the step writes elsewhere than where parameters are: a chain's result, or updated parameters.
    let writesElsewhere: Bool
    /// Whether a chain alone stores its result elsewhere than the gradients are, and those of frozen parameters have to be
    /// copied to it.
    var isOutOfPlace = false
    /// For each parameter, whether the micro-batch has no gradient of it, and no memory for one; empty if it has all.
    var isAbsent: [Bool] = []
    /// The micro-batch's gradients; nil when a window is closed without a further one.
    @usableFromInline var gradients: Tensors? {
        didSet { hasGradients = gradients != nil }
    }
    /// What the optimizer updates, or what stages may read; nil for a chain alone without parameters.
    @usableFromInline var parameters: Tensors?
    /// Where the optimizer writes what it makes of the parameters; nil for where they are.
    @usableFromInline let updatedParameters: Tensors?
    /// Where a chain alone stores its result.
    @usableFromInline let output: Tensors?

    init(
        gradients: Tensors? = nil, parameters: Tensors? = nil, updatedParameters: Tensors? = nil,
        output: Tensors? = nil, isOutOfPlace: Bool = false, isAbsent: [Bool] = []
    ) {
        hasGradients = gradients != nil
        writesElsewhere = updatedParameters != nil || output != nil
        (self.isOutOfPlace, self.isAbsent) = (isOutOfPlace, isAbsent)
        (self.gradients, self.parameters) = (gradients, parameters)
        (self.updatedParameters, self.output) = (updatedParameters, output)
    }
}
