import DescentCore

/// Where the block's parameters are read, and where they are written once they have changed.
///
/// Those that are float32 and in row-major order are used where they lie. Others are lent: brought in order in scratch as
/// float32 when they are first needed, and written back when the block is finished. Where a sweep writes parameters
/// elsewhere, they are copied there first if they can be used there, else they are lent.
extension SIMDBlock {
    /// Where the block's parameters are: in memory, or in scratch.
    struct ParameterAddress {
        fileprivate let start: UnsafeMutablePointer<Float>
        fileprivate let isLent: Bool

        /// The parameters from an offset in memory on, which is another offset in scratch.
        func callAsFunction(_ offset: Int, _ scratchOffset: Int) -> UnsafeMutablePointer<Float> {
            start + (isLent ? scratchOffset : offset)
        }
    }

    /// What has been done with the parameters of a block.
    enum ParameterUse {
        /// They have not been asked for, or are used where they lie.
        case inPlace
        /// They have been copied to where the sweep writes them.
        case copied
        /// They are in scratch.
        case lent
    }

    /// The block's parameters, as float32.
    var parameters: ParameterAddress {
        mutating get {
            guard let parameters = memory.parameters else { stopForMisuse("a sweep without parameters to update") }
            if !memory.lendsParameters, let start = parameters.plainFloats(parameterIndex) {
                return ParameterAddress(start: start, isLent: false)
            }
            return lentParameters(parameters)
        }
    }

    private mutating func lentParameters(_ parameters: TensorAddresses) -> ParameterAddress {
        let masters = masters(of: parameters)
        guard masters != nil || parameters.plainFloats(parameterIndex) == nil || memory.updatedParameters != nil else {
            return ParameterAddress(start: parameters.floats(parameterIndex), isLent: false)
        }
        if masters == nil, let updated = memory.updatedParameters?.plainFloats(parameterIndex) {
            if parameterUse == .inPlace {
                for segment in 0..<region.segmentCount {
                    let range = memoryRange(segment)
                    read(parameters, range, into: updated + range.lowerBound)
                }
                parameterUse = .copied
            }
            return ParameterAddress(start: updated, isLent: false)
        }
        if parameterUse == .inPlace { lend(parameters, masters) }
        return ParameterAddress(start: scratch.parameters, isLent: true)
    }

    /// The master copies of parameters of 16 bits, if they are kept.
    private func masters(of parameters: TensorAddresses) -> UnsafeMutablePointer<Float>? {
        guard parameters.elementType(parameterIndex) != .float32 else { return nil }
        return memory.masters?.floats(parameterIndex)
    }

    private mutating func lend(_ parameters: TensorAddresses, _ masters: UnsafeMutablePointer<Float>?) {
        let destination = scratch.parameters
        if let view = parameters.view(parameterIndex) {
            gather(view, into: destination)
        } else {
            for segment in 0..<region.segmentCount {
                read(parameters, memoryRange(segment), into: destination + segment * region.segmentLength)
            }
        }
        if let masters {
            for segment in 0..<region.segmentCount {
                kernels.takeMasters(
                    masters + memoryRange(segment).lowerBound, parameters.elementType(parameterIndex),
                    into: destination + segment * region.segmentLength, count: region.segmentLength)
            }
        }
        parameterUse = .lent
    }

    /// Copies parameters that lie at a range of positions, as float32.
    private func read(
        _ parameters: TensorAddresses, _ range: Range<Int>, into destination: UnsafeMutablePointer<Float>
    ) {
        if let view = parameters.view(parameterIndex) {
            view.gather(range, into: destination, kernels)
        } else if let start = parameters.plainFloats(parameterIndex) {
            destination.update(from: start + range.lowerBound, count: range.count)
        } else {
            kernels.widen(
                parameters.words(parameterIndex) + range.lowerBound, parameters.elementType, into: destination,
                count: range.count)
        }
    }

    /// Whether parameters are in scratch.
    var parametersAreLent: Bool { parameterUse == .lent }

    /// Notes that parameters have changed, so that those in scratch are written back.
    mutating func noteChangedParameters() { parametersChanged = !memory.onlyReadsParameters }

    /// Writes parameters that have changed, or are to be written in any case, to where the sweep writes them.
    mutating func finish() {
        guard let parameters = memory.parameters, !memory.onlyReadsParameters else { return }
        if memory.updatedParameters != nil, parameterUse == .inPlace { _ = self.parameters }
        guard parameterUse == .lent, parametersChanged || memory.updatedParameters != nil else { return }
        let (values, masters) = (scratch.parameters, masters(of: parameters))
        if let masters, parametersChanged {
            for segment in 0..<region.segmentCount {
                (masters + memoryRange(segment).lowerBound).update(
                    from: values + segment * region.segmentLength, count: region.segmentLength)
            }
        }
        let destination = memory.updatedParameters ?? parameters
        for segment in 0..<region.segmentCount {
            write(
                values + segment * region.segmentLength, to: destination, memoryRange(segment),
                atRandom: masters == nil && parametersChanged)
        }
    }

    /// Writes float32 values to where a tensor lies, rounded to its type.
    private func write(
        _ values: UnsafeMutablePointer<Float>, to tensors: TensorAddresses, _ range: Range<Int>, atRandom: Bool
    ) {
        let elementType = tensors.elementType(parameterIndex)
        let isRounded = elementType != .float32 && atRandom
        if isRounded, tensors.isStrided(parameterIndex) {
            // Rounded beside, then written as it is.
            let words = UnsafeMutableRawPointer(scratch.remembered).assumingMemoryBound(to: UInt16.self)
            roundAtRandom(values, elementType, into: words, range)
            kernels.widen(words, elementType, into: values, count: range.count)
        } else if isRounded {
            return roundAtRandom(
                values, elementType, into: tensors.words(parameterIndex) + range.lowerBound, range)
        }
        if let view = tensors.view(parameterIndex) {
            view.scatter(values, to: range, kernels)
        } else if let start = tensors.plainFloats(parameterIndex) {
            (start + range.lowerBound).update(from: values, count: range.count)
        } else {
            kernels.narrow(
                values, elementType, into: tensors.words(parameterIndex) + range.lowerBound, count: range.count)
        }
    }

    private func roundAtRandom(
        _ values: UnsafePointer<Float>, _ elementType: ElementType, into words: UnsafeMutablePointer<UInt16>,
        _ range: Range<Int>
    ) {
        // A place that no slot has.
        let seed = roundingSeed(slot: .max)
        kernels.narrowAtRandom(
            values, elementType, into: words, count: range.count, seed: seed, first: range.lowerBound)
    }

    /// What random bits for rounding are made from, besides the place of an element.
    ///
    /// - Parameter slot: Which of the slots of the stage at work is rounded; the largest number for parameters.
    /// - Returns: A number that differs between steps, parameters and slots.
    func roundingSeed(slot: Int) -> UInt32 {
        let seed = UInt32(truncatingIfNeeded: memory.appliedSteps) &* 0x85eb_ca6b
        // The ninth slot of a parameter must not have the random bits of the next one's first.
        let place =
            UInt32(truncatingIfNeeded: parameterIndex << 3 | slot & 7) &* 0xc2b2_ae35
            &+ UInt32(truncatingIfNeeded: slot >> 3) &* 0x27d4_eb2f
        return seed ^ place
    }

    /// Whether the parameters stay finite where they are stored.
    mutating func parametersFit() -> Bool {
        guard parameterUse == .lent, let stored = memory.updatedParameters ?? memory.parameters else { return true }
        let limit = stored.elementType(parameterIndex).smallestOverflow
        guard limit < .infinity else { return true }
        return PortableKernels.areSmaller(scratch.parameters, than: limit, count: count)
    }
}

extension ElementType {
    /// The smallest magnitude that becomes infinite when it is rounded to nearest.
    fileprivate var smallestOverflow: Float {
        switch self {
        case .float32: .infinity
        case .float16: 65_520
        case .bfloat16: Float(bitPattern: 0x7f7f_8000)
        }
    }
}
