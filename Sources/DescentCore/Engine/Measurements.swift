/// What has been measured of gradients and parameters in the present step: a number for each parameter and statistic.
struct Measurements: Sendable {
    /// The numbers, by the plan's statistics.
    private(set) var statistics: [MeasuredStatistic]
    /// For each parameter, where its blocks end.
    private let ends: [Int]
    private let blockCount: Int

    /// Makes room for what a plan measures.
    init(_ plan: Plan, parameterCount: Int, blocks: [BlockExtent]) {
        statistics = plan.statistics.map {
            MeasuredStatistic(what: $0.what, values: [Double](repeating: 0, count: parameterCount))
        }
        var ends = [Int](repeating: 0, count: parameterCount)
        for block in blocks { ends[block.parameterIndex] += 1 }
        for parameter in 1..<max(1, parameterCount) { ends[parameter] += ends[parameter - 1] }
        (self.ends, blockCount) = (ends, blocks.count)
    }

    /// The numbers of one statistic, parameter by parameter.
    func values(_ statistic: Int) -> [Double] { statistics[statistic].values }

    /// Forgets the numbers of one statistic.
    mutating func clear(_ statistic: Int) {
        for parameter in statistics[statistic].values.indices { statistics[statistic].values[parameter] = 0 }
    }

    /// The L2 norm over some parameters, of one statistic's norms.
    func norm(_ statistic: Int, over parameters: some Sequence<Int>) -> Double {
        var combiner = Norm.Combiner(.l2)
        for parameter in parameters { combiner.add(statistics[statistic].values[parameter]) }
        return combiner.value
    }

    /// The L2 norm over all parameters, of one statistic's norms.
    func norm(_ statistic: Int) -> Double { norm(statistic, over: statistics[statistic].values.indices) }

    /// The first parameter of which a number is not finite; nil if there is none.
    func firstNonFinite(_ statistic: Int) -> Int? {
        let values = statistics[statistic].values
        let numbers = values.span
        for parameter in numbers.indices where !numbers[parameter].isFinite { return parameter }
        return nil
    }

    /// Puts the numbers of blocks together to those of parameters, in the order of blocks.
    ///
    /// - Parameters:
    ///   - statistic: Which of the plan's.
    ///   - buffers: What the blocks of the last sweep wrote down.
    ///   - exchange: Who knows of the rows that other processes hold; nil where this one holds all.
    ///   - isLeftOut: For each parameter, whether nothing was measured of it; empty if all were.
    mutating func combine(
        _ statistic: Int, _ buffers: StepBuffers, _ exchange: (any GradientExchange)?, leavingOut isLeftOut: [Bool] = []
    ) {
        let what = statistics[statistic].what
        let norms = buffers.blockNorms + statistic * blockCount
        let empty = what.combiner
        // Taken out, so that they are not looked up for each parameter.
        var values: [Double] = []
        swap(&values, &statistics[statistic].values)
        let isRoot = what == .norm(.l2)
        var start = 0
        for parameter in values.indices {
            let blocks = start..<ends[parameter]
            start = blocks.upperBound
            // The root of a square is what was squared.
            if isRoot, blocks.count == 1 {
                values[parameter] = norms[blocks.lowerBound]
                continue
            }
            var combiner = empty
            for block in blocks { combiner.add(norms[block]) }
            values[parameter] = combiner.value
        }
        // What blocks that were left out hold is of an earlier step.
        for parameter in isLeftOut.indices where isLeftOut[parameter] { values[parameter] = empty.value }
        if let exchange { values = what.combined(values, over: exchange) }
        swap(&values, &statistics[statistic].values)
    }
}

extension Requirement {
    /// Combines numbers of this process with those of the others, in the order of processes.
    func combined(_ values: [Double], over exchange: any GradientExchange) -> [Double] {
        let parts = exchange.gather(values)
        return values.indices.map { index in
            var combiner = combiner
            for part in parts { combiner.add(part[index]) }
            return combiner.value
        }
    }
}
