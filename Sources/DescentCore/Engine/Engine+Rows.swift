// How processes share a step of which each works on some rows: what comes in is combined, what goes out is given to all.
//
//     shareRows    the gradients of all, combined, take the place of this process's own
//     firstOfAll   what one process has found, all have
//     gatherRows   all processes have the parameters of all rows
//
// In between a step runs as it does alone, over the blocks of this process's rows.

extension Engine {
    /// Whether other processes work on rows of the parameters.
    var sharesRows: Bool { design.division != nil }

    /// Has the combined gradients of this process's rows take the place of a micro-batch.
    ///
    /// - Parameters:
    ///   - tensors: The tensors of the step.
    ///   - weight: The weight of the micro-batch, which becomes that of all processes' together.
    /// - Throws: What the exchange throws.
    mutating func shareRows(_ tensors: inout Tensors, _ weight: inout Double) throws(DescentError) {
        guard sharesRows, let gradients = tensors.gradients else { return }
        try beginSharingRows(gradients.elementType, weight: weight)
        // Backward passes begin at the last parameter, and so does the exchange.
        for parameter in layout.indices.reversed() { try contribute(gradients, of: parameter) }
        try collectRows(&tensors, &weight)
    }

    /// Begins to combine a micro-batch with those of other processes.
    mutating func beginSharingRows(_ elementType: ElementType, weight: Double) throws(DescentError) {
        sweeps.makeReceivedSlot()
        try exchange?.begin(Contribution(factor: 1, weight: weight, elementType: elementType, skipReason: nil))
    }

    /// Waits for the combined gradients of this process's rows.
    mutating func collectRows(_ tensors: inout Tensors, _ weight: inout Double) throws(DescentError) {
        guard let slot = sweeps.receivedSlot else { return }
        if let parameters = tensors.parameters { try exchange?.compare(parameters) }
        if let reason = try exchange?.collect(into: &sweeps.slots[slot]) {
            throw DescentError(.invalidWeight, "The micro-batch counts for nothing: \(reason).")
        }
        tensors.gradients = sweeps.slots[slot]
        weight = exchange?.collectedWeight ?? weight
    }

    /// The first of the parameters that processes have found, each one or none; where rows are not shared, what this one has.
    func firstOfAll(_ found: Int?) -> Int? {
        guard sharesRows, let exchange else { return found }
        let numbers = exchange.gather([found.map(Double.init) ?? .infinity]).map { $0[0] }
        return numbers.filter(\.isFinite).min().map { Int($0) }
    }

    /// Takes over the histograms of the first sweep, of all rows, if they were asked for.
    mutating func takeHistograms() {
        guard sharesRows, let exchange, let own = reporter.countedHistograms else { return reporter.takeHistograms() }
        let all = exchange.gather(own.flatMap(\.numbers))
        let length = MagnitudeHistogram().numbers.count
        reporter.takeHistograms(
            own.indices.map { index in
                all.reduce(into: MagnitudeHistogram()) { sum, numbers in
                    sum.add(MagnitudeHistogram(numbers: numbers[index * length..<(index + 1) * length]))
                }
            })
    }

    /// Carries out a step, and has every process have the rows that others have updated in it.
    ///
    /// - Parameters:
    ///   - parameters: Where parameters are updated: what has this process's rows afterwards, and receives the others.
    ///   - step: The step, which is handed the same parameters.
    /// - Returns: How it has ended.
    /// - Throws: What the step throws, and the exchange; after an error of that, processes cannot go on.
    mutating func gatheringRows(
        of parameters: inout Backend.Tensors,
        _ step: (inout Self, Backend.Tensors) throws(DescentError) -> StepOutcome
    ) throws(DescentError) -> StepOutcome {
        guard sharesRows else { return try step(&self, parameters) }
        let outcome: StepOutcome
        do throws(DescentError) { outcome = try step(&self, parameters) } catch {
            // A stage that throws as it learns how the step has ended does so after the update.
            try gatherRows(of: &parameters)
            throw error
        }
        try gatherRows(of: &parameters)
        return outcome
    }

    private mutating func gatherRows(of parameters: inout Backend.Tensors) throws(DescentError) {
        guard hasUpdatedRows else { return }
        hasUpdatedRows = false
        try exchange?.gatherRows(of: &parameters)
        try gatherParameterCopy()
    }

    /// Has every process have all rows of the copy of the parameters, if one is kept.
    mutating func gatherParameterCopy() throws(DescentError) {
        guard sharesRows, var exchange else { return }
        try sweeps.gatherParameterCopy(over: &exchange)
        self.exchange = exchange
    }
}

extension TensorStorage {
    /// Copies parts of whole tensors, these, to tensors that are the parts.
    ///
    /// - Parameters:
    ///   - origins: For each tensor, the place of the part's first element.
    ///   - part: The parts, of the same element type.
    /// - Throws: What reading and writing tensors throws.
    func copyRows(from origins: [Int], into part: inout Self) throws(DescentError) {
        let size = elementType.byteCount
        for position in layout.indices where layout[position].count > 0 && part.layout[position].count > 0 {
            let start = origins[position] * size
            try withBytes(of: position) { source throws(DescentError) in
                try part.withMutableBytes(of: position) { target in
                    target.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[start..<start + target.count]))
                }
            }
        }
    }

    /// Copies parts, these, to where they are in whole tensors.
    ///
    /// - Parameters:
    ///   - origins: For each tensor, the place of the part's first element.
    ///   - whole: The whole tensors, of the same element type.
    /// - Throws: What reading and writing tensors throws.
    func copyRows(to origins: [Int], of whole: inout Self) throws(DescentError) {
        let size = elementType.byteCount
        for position in layout.indices where layout[position].count > 0 {
            let start = origins[position] * size
            try withBytes(of: position) { source throws(DescentError) in
                try whole.withMutableBytes(of: position) { target in
                    UnsafeMutableRawBufferPointer(rebasing: target[start..<start + source.count])
                        .copyMemory(from: source)
                }
            }
        }
    }

    /// Copies the numbers of one tensor to tensors of float32.
    func copyNumbers(of position: Int, into floats: inout Self) throws(DescentError) {
        let (type, count) = (elementType, layout[position].count)
        try withBytes(of: position) { source throws(DescentError) in
            try floats.withMutableBytes(of: position) { target in
                for index in 0..<count {
                    let number =
                        switch type {
                        case .float32: source.load(fromByteOffset: index * 4, as: Float.self)
                        case .float16:
                            Float(Binary16(bitPattern: source.load(fromByteOffset: index * 2, as: UInt16.self)))
                        case .bfloat16:
                            Float(BFloat16(bitPattern: source.load(fromByteOffset: index * 2, as: UInt16.self)))
                        case .int8, .uint8: stopForMisuse("Parameters are not stored in 8 bits.")
                        }
                    target.storeBytes(of: number, toByteOffset: index * 4, as: Float.self)
                }
            }
        }
    }
}
