import Descent
import DescentDistributed

/// How the ranks of a scenario share their work.
enum Arrangement: CaseIterable {
    /// Each works on all rows, with the sum of all gradients.
    case allReduce
    /// Each works on rows of its own.
    case sharded

    /// Builds a pipeline of ranks that share their work so.
    ///
    /// - Parameters:
    ///   - parameters: The parameters.
    ///   - world: The ranks.
    ///   - configuration: How the pipeline runs.
    ///   - reduction: What sums of gradients are divided by.
    ///   - bucketLength: How many elements move together.
    ///   - accumulation: What gathers micro-batches, if something does.
    ///   - stages: What else is in the chain.
    ///   - optimizer: What ends it.
    /// - Returns: The pipeline.
    /// - Throws: What building it throws.
    func pipeline(
        for parameters: TensorSet, over world: ProcessGroup, configuration: PipelineConfiguration = .init(),
        reduction: AllReduce.Reduction = .mean, bucketLength: Int? = nil, accumulating accumulation: Accumulate? = nil,
        _ stages: [any Stage] = [], driving optimizer: any Driving
    ) throws -> Pipeline {
        var configuration = configuration
        var exchange: [any Stage] = []
        switch self {
        case .allReduce: exchange = [AllReduce(over: world, reduction: reduction, bucketLength: bucketLength)]
        case .sharded:
            configuration.sharding = .optimizerState(over: world, reduction: reduction, bucketLength: bucketLength)
        }
        return try Pipeline(for: parameters, configuration: configuration, on: SIMDBackend(threads: 1)) {
            accumulation.map { [$0] as [any Stage] } ?? []
            exchange
            stages
        } driving: {
            optimizer
        }
    }
}
