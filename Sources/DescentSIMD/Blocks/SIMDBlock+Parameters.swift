import DescentCore

/// Where the block's parameters are read, and where they are written once they have changed.
///
/// Those that are float32 and in row-major order are used where they lie. Others are lent: brought in order in scratch as
/// float32 when they are first needed, and written back when the block is finished. Where a sweep writes parameters
/// elsewhere, they are copied there first if they can be used there, else they are lent. Masters are used where they lie in
/// the sweep that updates them.
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
        /// Their masters are used, which have been looked up.
        case masters
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
        if let masters, !memory.onlyReadsParameters, !parameters.isStrided(parameterIndex) {
            if parameterUse == .inPlace { takeMasters(masters, parameters) }
            return ParameterAddress(start: masters, isLent: false)
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
            let (elementType, words) = (
                parameters.elementType(parameterIndex),
                UnsafeMutableRawPointer(scratch.remembered).assumingMemoryBound(to: UInt16.self)
            )
            for segment in 0..<region.segmentCount {
                let values = destination + segment * region.segmentLength
                // What has been widened is narrowed to what it was.
                kernels.narrow(values, elementType, into: words, count: region.segmentLength)
                values.update(from: masters + memoryRange(segment).lowerBound, count: region.segmentLength)
                kernels.takeMasters(values, of: words, elementType, count: region.segmentLength)
            }
        }
        parameterUse = .lent
    }

    private mutating func takeMasters(_ masters: UnsafeMutablePointer<Float>, _ parameters: TensorAddresses) {
        let words = parameters.words(parameterIndex)
        for segment in 0..<region.segmentCount {
            let range = memoryRange(segment)
            kernels.takeMasters(
                masters + range.lowerBound, of: words + range.lowerBound, parameters.elementType(parameterIndex),
                count: range.count)
        }
        parameterUse = .masters
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

    /// Notes that parameters have changed, so that those that are not where they are stored are written there.
    mutating func noteChangedParameters() {
        guard parameterUse != .inPlace else { return }
        (parametersChanged, parametersAreStored) = (!memory.onlyReadsParameters, false)
    }

    /// Writes parameters that have changed, or are to be written in any case, to where the sweep writes them.
    mutating func finish() {
        guard let parameters = memory.parameters, !memory.onlyReadsParameters, !parametersAreStored else { return }
        if memory.updatedParameters != nil, parameterUse == .inPlace { _ = self.parameters }
        guard parametersChanged || memory.updatedParameters != nil else { return }
        _ = store(parameters)
    }

    /// Writes parameters to where the sweep writes them, and tells whether all that are rounded stay finite.
    private mutating func store(_ parameters: TensorAddresses) -> Bool {
        guard parameterUse == .lent || parameterUse == .masters else { return true }
        parametersAreStored = true
        let (masters, destination) = (masters(of: parameters), memory.updatedParameters ?? parameters)
        let limit = destination.elementType(parameterIndex).smallestOverflow
        var fits = true
        for segment in 0..<region.segmentCount {
            let range = memoryRange(segment)
            // In parts that stay in the nearest cache while they are looked at, copied and rounded.
            for first in stride(from: 0, to: range.count, by: 1_024) {
                let places = range.lowerBound + first..<min(range.lowerBound + first + 1_024, range.upperBound)
                var values = scratch.parameters + segment * region.segmentLength + first
                if let masters {
                    let own = masters + places.lowerBound
                    if parameterUse == .masters { values = own } else { own.update(from: values, count: places.count) }
                }
                if limit < .infinity, !kernels.areSmaller(values, than: limit, count: places.count) {
                    fits = false
                }
                write(values, to: destination, places, atRandom: masters == nil && parametersChanged)
            }
        }
        return fits
    }

    /// Writes float32 values to where a tensor lies, rounded to its type.
    private func write(
        _ values: UnsafeMutablePointer<Float>, to tensors: TensorAddresses, _ range: Range<Int>, atRandom: Bool
    ) {
        let elementType = tensors.elementType(parameterIndex)
        if elementType != .float32, atRandom {
            guard tensors.isStrided(parameterIndex) else {
                let words = tensors.words(parameterIndex) + range.lowerBound
                return roundAtRandom(values, elementType, into: words, range)
            }
            // Rounded beside, then written as it is.
            withUnsafeTemporaryAllocation(of: UInt16.self, capacity: range.count) { words in
                guard let words = words.baseAddress else { return }
                roundAtRandom(values, elementType, into: words, range)
                kernels.widen(words, elementType, into: values, count: range.count)
            }
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
        guard parameterUse != .inPlace, let stored = memory.parameters,
            stored.elementType(parameterIndex) != .float32
        else { return true }
        // What has just changed is in cache: it is written at the same time.
        if parametersChanged, !parametersAreStored, !stored.isStrided(parameterIndex) { return store(stored) }
        let (kernels, parameters, region) = (kernels, parameters, region)
        let limit = stored.elementType(parameterIndex).smallestOverflow
        return (0..<region.segmentCount).allSatisfy { segment in
            kernels.areSmaller(
                parameters(region.start + segment * region.stride, segment * region.segmentLength), than: limit,
                count: region.segmentLength)
        }
    }
}

extension ElementType {
    /// The smallest magnitude that becomes infinite when it is rounded to nearest.
    fileprivate var smallestOverflow: Float {
        switch self {
        case .float32, .int8, .uint8: .infinity
        case .float16: 65_520
        case .bfloat16: Float(bitPattern: 0x7f7f_8000)
        }
    }
}
