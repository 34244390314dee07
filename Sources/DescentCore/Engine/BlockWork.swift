/// What one sweep does to each block: the innermost loop of a step.
///
/// It is generic over the block alone, and can be inlined, so that each backend's module compiles it for its own block
/// and nothing is looked up of the block's type while a sweep runs. It is not copied, because it holds many references.
public struct BlockWork: ~Copyable, Sendable {
    @usableFromInline let transforms: [any GradientTransform]
    @usableFromInline let optimizers: [any Optimizer]
    @usableFromInline let places: [Station.Place]
    @usableFromInline let followers: [any ParameterFollower]
    @usableFromInline let branches: [BranchPlace]
    /// Learning rate and weight decay of each parameter.
    @usableFromInline let rates: [UpdateRates]
    /// For each parameter, the branch that moves it.
    @usableFromInline let owners: [Int?]
    @usableFromInline let statistics: [Plan.Statistic]
    @usableFromInline let microBatchOperations: [Plan.Operation]
    @usableFromInline let operations: [Plan.Operation]
    @usableFromInline let end: [Plan.Operation]
    @usableFromInline let addition: WindowAddition?
    @usableFromInline let windowFactor: Double
    @usableFromInline let keepsSlots: Bool
    @usableFromInline let checksSum: Bool
    /// Whether what lasts is checked as it is written, and the parameters before that.
    @usableFromInline let checksResult: Bool
    @usableFromInline let checksParametersFirst: Bool
    @usableFromInline let accesses: StageAccesses
    @usableFromInline let runFactors: [Double]
    @usableFromInline let parameterCount: Int
    @usableFromInline let blockCount: Int
    @usableFromInline let buffers: StepBuffers
    @usableFromInline let histograms: HistogramSink?
    /// The passes over whole tensors, and where each leaves its result; nil if there are none.
    @usableFromInline let passes: [TensorPass]?
    /// The pass that this is; nil for a sweep.
    @usableFromInline let pass: Int?
    /// For each parameter, whether this leaves it out; empty if none is.
    @usableFromInline let isLeftOut: [Bool]
    /// For each parameter, whether it takes no part in the step, as its gradient is absent; empty if all do.
    @usableFromInline let isIdle: [Bool]
    /// For each parameter, whether the micro-batch has no gradient of it; empty if it has all.
    @usableFromInline let isAbsent: [Bool]
    @usableFromInline let storesAbsent: Bool
    /// Whether it is the micro-batch that is read, and not the window's sum.
    @usableFromInline let readsMicroBatch: Bool
    /// Whether stages in front of the window pass over gradients that are absent.
    @usableFromInline let skipsAbsent: Bool

    init<Backend: TensorBackend>(_ engine: borrowing Engine<Backend>, _ program: borrowing SweepProgram) {
        let design = engine.design
        transforms = engine.chain.transforms
        optimizers = engine.chain.optimizers
        places = engine.chain.places
        followers = engine.chain.followers
        branches = engine.chain.branchPlaces
        rates = engine.rates
        owners = engine.owners.branches
        statistics = design.plan.statistics
        microBatchOperations = program.addition?.runsMicroBatchStages == true ? design.plan.microBatch?.final ?? [] : []
        operations = program.operations
        end = program.end
        addition = program.addition
        windowFactor = program.windowFactor ?? 1
        keepsSlots = program.keepsSlots
        checksSum = program.checksSum
        checksResult = design.plan.checksResult
        checksParametersFirst = !engine.divergence.knowsParameters
        accesses = engine.accesses
        runFactors = engine.chain.runFactors
        parameterCount = engine.layout.count
        blockCount = engine.sweeps.blocks.count
        buffers = engine.sweeps.buffers
        histograms = program.makesHistograms ? engine.reporter.histogramSink : nil
        passes = engine.passes.isEmpty ? nil : engine.passes
        pass = program.pass
        isLeftOut = engine.absence.leftOut(with: program.leavesOutWholeTensors ? engine.sweeps.isWholeInLastSweep : [])
        isIdle = engine.absence.isLeftOut
        isAbsent = engine.absence.isAbsent
        storesAbsent = engine.absence.haveResults
        readsMicroBatch = program.addition != nil || program.windowFactor == nil
        skipsAbsent = engine.configuration.missing == .skipParameter
    }

    @inlinable func run(on block: inout some UpdateBlock, at index: Int) {
        if block.tensorCount > 1 { return runJoined(on: &block, at: index) }
        if !isLeftOut.isEmpty, isLeftOut[block.parameterIndex] { return leaveOut(&block, at: index) }
        let start = passes == nil ? 0 : firstOperation(for: block.parameterIndex)
        if start == 0 {
            if addition != nil || windowFactor != 1 || !isAbsent.isEmpty { makeWindow(&block, at: index) }
            if histograms != nil, !lacksGradient(block.parameterIndex) || addition?.sum != nil {
                perform(.addToHistograms, on: &block, at: index, keepsSlots: false)
            }
        }
        for position in start..<operations.count {
            perform(operations[position], on: &block, at: index, keepsSlots: keepsSlots)
        }
        for operation in end { perform(operation, on: &block, at: index, keepsSlots: true) }
    }

    /// Works on a block of several tensors, to which all that is done in this sweep is the same, but for factors and norms.
    @inlinable func runJoined(on block: inout some UpdateBlock, at index: Int) {
        if windowFactor != 1 { block.scale(by: windowFactor) }
        for operation in operations {
            switch operation {
            case .scale(let run):
                runFactors.withUnsafeBufferPointer { factors in
                    guard let first = factors.baseAddress else { return }
                    block.scale(byEach: first + run * parameterCount + block.parameterIndex)
                }
            case .measure(let statistic, _):
                guard case .norm(let norm) = statistics[statistic].what else { continue }
                block.measureNorms(norm, into: buffers.blockNorms + statistic * blockCount + index)
            default: perform(operation, on: &block, at: index, keepsSlots: keepsSlots)
            }
        }
        guard end.contains(.update), let branch = owners[block.parameterIndex] else { return }
        block.slotAccess = accesses.ofStation(branches[branch].station, isKept: true)
        block.rates = rates[block.parameterIndex]
        optimizers[branch].performUpdate(of: &block)
        guard checksResult else { return }
        let isFinite = block.parametersAreFinite()
        for tensor in 0..<block.tensorCount {
            let isTensorFinite = isFinite || block.parametersAreFinite(ofTensor: tensor)
            buffers.flags[index + tensor] = isTensorFinite ? [] : .isNotFinite
        }
    }

    /// Where the operations on a parameter begin, of which a pass may have done the first.
    ///
    /// What stages and optimizers in front of the pass make of their slots lasts in the last sweep alone, which has to
    /// call them again.
    @inlinable func firstOperation(for parameter: Int) -> Int {
        if keepsSlots, microBatchOperations.contains(where: { usesSlots($0, parameter) }) { return 0 }
        var first = 0
        for (index, operation) in operations.enumerated() {
            if case .load(let pass) = operation, passes?[pass].isChosen[parameter] ?? false { first = index }
            if keepsSlots, usesSlots(operation, parameter) { return first }
        }
        return first
    }

    @inlinable func usesSlots(_ operation: Plan.Operation, _ parameter: Int) -> Bool {
        switch operation {
        case .transform(let station), .direct(let station):
            accesses.hasSlots(station) && concerns(station, parameter)
        default: false
        }
    }

    /// Makes the block that of the window.
    @inlinable func makeWindow(_ block: inout some UpdateBlock, at index: Int) {
        let isAbsent = lacksGradient(block.parameterIndex)
        if isAbsent { block.clear() }
        if let addition {
            // What the micro-batch's stages remember lasts where its sum does.
            let keepsSlots = keepsSlots || addition.destination != nil
            for operation in microBatchOperations {
                if !(isAbsent && skipsAbsent) {
                    perform(operation, on: &block, at: index, keepsSlots: keepsSlots)
                } else if case .measure(let statistic, _) = operation {
                    buffers.blockNorms[statistic * blockCount + index] = 0
                }
            }
            block.accumulate(onto: addition.sum, into: addition.destination, factor: addition.factor)
            if checksSum { buffers.flags[index] = block.isFinite() ? [] : .isNotFinite }
        }
        if windowFactor != 1 { block.scale(by: windowFactor) }
    }

    /// Whether the gradient of a parameter is read from a micro-batch that has none of it.
    @inlinable func lacksGradient(_ parameter: Int) -> Bool {
        !isAbsent.isEmpty && readsMicroBatch && isAbsent[parameter]
    }

    /// Does what is left to do for a block that is left out: nothing, where it is part of a whole tensor.
    @inlinable func leaveOut(_ block: inout some UpdateBlock, at index: Int) {
        guard !isIdle.isEmpty, isIdle[block.parameterIndex] else { return }
        buffers.flags[index] = []
        // A sum that outlives this sweep is that of every parameter.
        if let slot = addition?.destination {
            block.clear()
            block.accumulate(onto: nil, into: slot, factor: 1)
        }
        // Parameters that are not finite before their first update are not blamed on it.
        guard checksResult, checksParametersFirst, end.contains(.update), !block.parametersAreFinite() else { return }
        buffers.flags[index] = [.wasNotFinite, .isNotFinite]
    }

    @inlinable func perform(
        _ operation: Plan.Operation, on block: inout some UpdateBlock, at index: Int, keepsSlots: Bool
    ) {
        switch operation {
        case .scale(let run):
            block.scale(by: runFactors[run * parameterCount + block.parameterIndex])
        case .transform(let station):
            guard concerns(station, block.parameterIndex), case .transform(let position) = places[station].kind
            else { return }
            block.slotAccess = access(of: station, isKept: keepsSlots)
            transforms[position].transform(&block)
        case .direct(let station):
            guard concerns(station, block.parameterIndex), case .optimizer(let branch) = places[station].kind
            else { return }
            block.slotAccess = access(of: station, isKept: keepsSlots)
            block.rates = rates[block.parameterIndex]
            optimizers[branch].performDirection(of: &block)
        case .rememberGradient(let station):
            if concerns(station, block.parameterIndex) { block.rememberGradient() }
        case .load(let pass):
            if let pass = passes?[pass], pass.isChosen[block.parameterIndex] { block.load(slot: pass.result) }
        case .keep(let pass):
            if let pass = passes?[pass] { block.accumulate(onto: nil, into: pass.result, factor: 1) }
        case .measure(let statistic, let isOwn):
            // Where the statistic lies, because a copy would have references to count, which threads would contend for.
            buffers.blockNorms[statistic * blockCount + index] =
                isOwn ? measureOwn(statistic, of: &block) : statistics[statistic].what.measure(&block)
        case .checkGradient: buffers.flags[index] = block.isFinite() ? [] : .isNotFinite
        case .update: update(&block, at: index)
        case .rememberParameters: block.rememberParameters()
        case .measureUpdate(let statistic):
            buffers.blockNorms[statistic * blockCount + index] = block.updateNorm()
        case .addToHistograms:
            var histogram = MagnitudeHistogram()
            block.addElements(to: &histogram)
            histograms?.add(histogram, of: block.parameterIndex)
        case .copyParameters: block.copyParameters()
        case .store:
            buffers.flags[index] = []
            // Of a gradient that is absent, there is no memory to write to.
            guard isAbsent.isEmpty || storesAbsent || !isAbsent[block.parameterIndex] else { return }
            block.store()
            if checksResult, !block.isFinite() { buffers.flags[index] = .isNotFinite }
        case .accumulate: break
        }
    }

    /// Whether a station works on a parameter.
    @inlinable func concerns(_ station: Int, _ parameter: Int) -> Bool {
        guard let branch = places[station].branch else { return true }
        return owners[parameter] == branch
    }

    /// What a station may use; in its own pass, the slots beside those that last.
    @inlinable func access(of station: Int, isKept: Bool) -> SlotAccess {
        var access = accesses.ofStation(station, isKept: isKept)
        guard let pass, let own = passes?[pass], own.station == station else { return access }
        access.first = own.firstShadow
        access.isKept = true
        return access
    }

    // MARK: Measuring

    /// Measures what is of one branch, or a stage's own business.
    @inlinable func measureOwn(_ index: Int, of block: inout some UpdateBlock) -> Double {
        if let branch = statistics[index].branch, owners[block.parameterIndex] != branch { return 0 }
        guard let station = statistics[index].station else { return statistics[index].what.measure(&block) }
        block.slotAccess = accesses.ofStation(station, isKept: false)
        guard case .measured(let measurement) = statistics[index].what else {
            return statistics[index].what.measure(&block)
        }
        switch places[station].kind {
        case .transform(let position): return transforms[position].measure(measurement, of: &block)
        case .optimizer(let branch):
            block.rates = rates[block.parameterIndex]
            return optimizers[branch].measure(measurement, of: &block)
        }
    }

    // MARK: Updating

    /// Shows the followers a parameter as it is before its first move.
    ///
    /// - Parameters:
    ///   - block: A block of it.
    ///   - late: The followers that it is shown to; nil for all.
    @inlinable func startFollowers(_ block: inout some UpdateBlock, only late: [Int]?) {
        guard let branch = owners[block.parameterIndex] else { return }
        for follower in branches[branch].followers where late?.contains(follower) ?? true {
            block.slotAccess = accesses.ofFollower(follower)
            followers[follower].willMove(&block)
        }
    }

    @inlinable func update(_ block: inout some UpdateBlock, at index: Int) {
        let parameter = block.parameterIndex
        guard let branch = owners[parameter] else { return }
        let place = branches[branch]
        let own = accesses.ofStation(place.station, isKept: true)
        var flags: StepBuffers.Flags = []
        block.slotAccess = own
        block.rates = rates[parameter]
        if checksResult, checksParametersFirst, !block.parametersAreFinite() { flags.insert(.wasNotFinite) }
        for follower in place.followers {
            block.slotAccess = accesses.ofFollower(follower)
            followers[follower].willMove(&block)
        }
        if place.isFused {
            if !place.followers.isEmpty { block.slotAccess = own }
            optimizers[branch].performUpdate(of: &block)
        } else {
            block.moveParameters()
        }
        for follower in place.followers {
            block.slotAccess = accesses.ofFollower(follower)
            followers[follower].didMove(&block)
        }
        guard checksResult else { return }
        if !block.parametersAreFinite() { flags.insert(.isNotFinite) }
        buffers.flags[index] = flags
    }
}

extension Requirement {
    /// Measures a block, whose slots are those of the stage that wants to know.
    @inlinable func measure(_ block: inout some GradientBlock) -> Double {
        switch self {
        case .norm(let norm): block.norm(norm)
        case .parameterNorm(let norm): block.parameterNorm(norm)
        case .nonFiniteCount: Double(block.nonFiniteCount())
        case .count(let limit): Double(block.count(below: limit))
        case .dotProduct(let slot): block.dotProduct(slot: slot)
        case .finite, .measured, .parameters, .gradient: 0
        }
    }
}
