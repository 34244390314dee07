import Descent
import DescentDistributed
import DistributedScenarios

/// What a step with AdamW sends, and what a rank remembers between steps, for jobs of different sizes.
///
/// Nothing is sent: a rank runs among others that do as it does, so that one machine has room for it, and its bytes are
/// counted.
struct Exchange {
    /// How optimizer state is kept.
    enum Placement: String, CaseIterable {
        /// All of it on every rank.
        case everywhere = "data parallel"
        /// Each rank has that of its rows.
        case sharded = "state divided"
    }

    let workload: Workload
    let placement: Placement
    let gradientType: ElementType
    let rankCount: Int
    /// What a rank sends in a step, to agree with the others included.
    private(set) var sentBytes = 0
    /// What a rank's pipeline remembers between steps.
    private(set) var stateBytes = 0

    /// The fewest bytes with which all ranks can have all sums.
    var leastBytes: Int {
        get throws {
            ExchangeCosts(
                elementCount: try workload.layout.elementCount, rankCount: rankCount, gradientType: gradientType,
                movingAs: movingType
            ).leastBytes
        }
    }

    /// How sums move: as the gradients do, where all ranks have all sums; rows of parameters move in float32.
    private var movingType: ElementType? { placement == .everywhere ? gradientType : nil }

    /// Takes two steps and counts what the second sends; the first has more to compare.
    init(_ workload: Workload, _ placement: Placement, _ gradientType: ElementType, ranks: Int) throws {
        (self.workload, self.placement, self.gradientType, rankCount) = (workload, placement, gradientType, ranks)
        let layout = try workload.layout
        let world = try ProcessGroup(over: EchoCommunicator(among: ranks))
        var parameters = TensorSet(zeros: layout)
        let gradients = TensorSet(zeros: layout, gradientType)
        var configuration = PipelineConfiguration()
        if placement == .sharded { configuration.sharding = .optimizerState(over: world, bucketLength: 1 << 20) }
        var pipeline = try Pipeline(for: parameters, configuration: configuration) {
            if placement == .everywhere { AllReduce(over: world, bucketLength: 1 << 20, movingAs: movingType) }
        } driving: {
            AdamW()
        }
        try count(world) { _ = try pipeline.step(&parameters, gradients: gradients) }
        stateBytes = Self.bytes(of: try pipeline.state)
    }

    private mutating func count(_ world: ProcessGroup, _ step: () throws -> Void) throws {
        try step()
        let before = world.sentByteCount
        try step()
        sentBytes = world.sentByteCount - before
    }

    private static func bytes(of state: PipelineState<TensorSet>) -> Int {
        state.components.flatMap(\.slots).reduce(0) {
            $0 + $1.tensors.layout.elementCount * $1.tensors.elementType.byteCount
        }
    }

    // MARK: A table in Markdown

    /// The titles of the columns.
    static let header = """
        | model | ranks | gradients | state | a rank sends | at least | state of a rank |
        | --- | ---: | --- | --- | ---: | ---: | ---: |
        """

    /// The row.
    var line: String {
        get throws {
            let cells = [
                workload.name, "\(rankCount)", gradientType.rawValue, placement.rawValue, "\(sentBytes)",
                "\(try leastBytes)", "\(stateBytes)",
            ]
            return "| " + cells.joined(separator: " | ") + " |"
        }
    }
}
