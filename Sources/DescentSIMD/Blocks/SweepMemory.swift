import DescentCore

/// The addresses that the blocks of one sweep start from; blocks are disjoint, so threads can share it.
struct SweepMemory: @unchecked Sendable {
    let gradients: TensorAddresses
    let parameters: TensorAddresses?
    let updatedParameters: TensorAddresses?
    let masters: TensorAddresses?
    /// Whether parameters may have to be used elsewhere than where they lie although they are float32 in row-major order.
    let lendsParameters: Bool
    let onlyReadsParameters: Bool
    let output: TensorAddresses?
    let parameterCopy: TensorAddresses?
    private let firstSlot: UnsafePointer<TensorAddresses>?
    /// What is kept of rows for the next sweep; nil if nothing is.
    let keptRows: KeptRows?
    let gradientVersion: Int
    let appliedSteps: Int
    /// Whether each block is a whole tensor.
    let handsWholeTensors: Bool
    let runsBackwards: Bool
    /// A number that no other sweep of the workspace has.
    let number: Int
    /// Whether small tensors that follow one another lie side by side in all memory of the sweep.
    let neighboursLieTogether: Bool
    /// The shapes of all parameters.
    let shapes: UnsafePointer<BlockShape>

    init(
        _ sweep: borrowing Sweep<TensorSet>, number: Int, slots: UnsafePointer<TensorAddresses>?,
        shapes: UnsafePointer<BlockShape>, keptRows: KeptRows?
    ) {
        self.shapes = shapes
        self.number = number
        runsBackwards = sweep.runsBackwards
        gradients = TensorAddresses(sweep.gradients)
        parameters = sweep.parameters.map { TensorAddresses($0) }
        updatedParameters = sweep.updatedParameters.map { TensorAddresses($0) }
        masters = sweep.masterParameters.map { TensorAddresses($0) }
        lendsParameters = sweep.updatedParameters != nil
        onlyReadsParameters = sweep.onlyReadsParameters || sweep.output != nil
        output = sweep.output.map { TensorAddresses($0) }
        parameterCopy = sweep.parameterCopy.map { TensorAddresses($0) }
        firstSlot = slots
        self.keptRows = keptRows
        gradientVersion = sweep.gradientVersion ?? 0
        appliedSteps = sweep.appliedSteps
        handsWholeTensors = sweep.handsWholeTensors
        neighboursLieTogether =
            !sweep.neighbours.isEmpty && sweep.gradients.isAllocatedTogether
            && sweep.parameters?.isAllocatedTogether ?? true
    }

    var slots: UnsafePointer<TensorAddresses> {
        guard let firstSlot else { stopForMisuse("a sweep without slots") }
        return firstSlot
    }
}

/// Where the tensors of a set start, and how they are stored.
struct TensorAddresses {
    private let bases: UnsafePointer<UnsafeMutableRawPointer>
    private let views: UnsafePointer<TensorView>?
    /// How they are stored, where they have no views.
    let elementType: ElementType
    /// How many numbers there are of a parameter, where the tensors are those of a slot.
    let shape: Slot.Shape
    /// Of a slot in codes of 8 bits, where the scales start, and the float32 numbers of parameters without codes.
    private(set) var scales: UnsafePointer<UnsafeMutableRawPointer>?
    private(set) var uncoded: UnsafePointer<UnsafeMutableRawPointer>?

    init(_ tensors: TensorSet, _ shape: Slot.Shape = .parameter) {
        bases = tensors.bases
        views = tensors.views
        elementType = tensors.elementType
        self.shape = shape
    }

    /// Whether it is in codes, and what is kept beside it is not known yet.
    var needsCompanion: Bool { shape == .parameter && elementType.isCoded && (scales == nil || uncoded == nil) }

    /// Takes note of what is kept beside a slot in codes.
    mutating func add(_ companion: TensorAddresses) {
        switch companion.shape {
        case .group: scales = companion.bases
        default: uncoded = companion.bases
        }
    }

    /// How a tensor lies; nil for one in row-major order without gaps, of the type that all have.
    func view(_ index: Int) -> TensorView? { views?[index] }

    /// How a tensor is stored.
    func elementType(_ index: Int) -> ElementType { views?[index].elementType ?? elementType }

    /// Whether a tensor is not in row-major order without gaps.
    func isStrided(_ index: Int) -> Bool { views?[index].isStrided ?? false }

    /// Whether these are the same tensors.
    func isSame(as other: TensorAddresses) -> Bool { bases == other.bases }

    /// The start of a tensor that kernels can use where it lies: float32, in row-major order; nil for others.
    func plainFloats(_ index: Int) -> UnsafeMutablePointer<Float>? {
        guard let view = views?[index] else { return elementType == .float32 ? floats(index) : nil }
        return view.elementType == .float32 && !view.isStrided ? floats(index) : nil
    }

    /// The start of a float32 tensor.
    func floats(_ index: Int) -> UnsafeMutablePointer<Float> { bases[index].assumingMemoryBound(to: Float.self) }

    /// The start of a tensor of any type.
    func bytes(_ index: Int) -> UnsafeMutableRawPointer { bases[index] }

    /// The start of a tensor of 16 bits.
    func words(_ index: Int) -> UnsafeMutablePointer<UInt16> { bases[index].assumingMemoryBound(to: UInt16.self) }
}

/// The address of a sweep's memory, which its threads share and none of them changes.
struct SendableAddress: @unchecked Sendable {
    let address: UnsafePointer<SweepMemory>

    init(_ address: UnsafePointer<SweepMemory>) { self.address = address }
}
