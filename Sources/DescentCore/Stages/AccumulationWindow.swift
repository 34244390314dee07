/// What is known of the micro-batches of an accumulation window.
///
/// A window admits micro-batches until it is full, may reject one that it has admitted, and is emptied when it closes. It
/// is a value: to roll back, keep a copy. The sum of its gradients is kept beside it, in a slot.
public struct AccumulationWindow: Codable, Sendable, Hashable {
    /// What a window's sum is divided by.
    public enum Reduction: String, Sendable, Hashable, Codable, CaseIterable {
        /// By the number of micro-batches seen.
        case mean
        /// By 1.
        case sum
        /// By the sum of weights, each gradient having been multiplied by its own.
        case weighted
    }

    /// How windows are made.
    public struct Settings: Sendable, Hashable {
        /// After how many micro-batches a window closes.
        public var length: Int
        /// What its sum is divided by.
        public var reduction: Reduction
        /// Whether a micro-batch that is not finite is left out, instead of spoiling its window.
        public var dropsNonFinite: Bool

        /// Makes settings; they are checked when a pipeline is built.
        public init(length: Int, reduction: Reduction, dropsNonFinite: Bool) {
            self.length = length
            self.reduction = reduction
            self.dropsNonFinite = dropsNonFinite
        }
    }

    /// The buffer of its sum, which the pipeline keeps.
    static let slot = Slot("sum")

    /// How many micro-batches the window has been given.
    public private(set) var received = 0
    /// How many of them are part of the sum.
    public private(set) var included = 0
    /// The sum of their weights.
    public private(set) var weights = 0.0
    /// The weight of the micro-batch last admitted.
    public private(set) var lastWeight = 1.0
    /// The positions of parameters whose gradients were absent in every micro-batch of the sum, ascending; nil for none.
    public private(set) var absent: [Int]?
    /// Why the first micro-batch that was turned down was.
    public private(set) var rejection: SkipReason?
    /// Why the first micro-batch that was not finite is turned down, whatever others were for.
    public private(set) var overflow: SkipReason?
    /// What the gradients of the sum were multiplied by when they became part of it; nil where that is not known.
    private(set) var lossScale: Float?
    /// Whether each of them was multiplied by its weight; nil where that is not known.
    private(set) var isWeighted: Bool?
    /// The process whose micro-batches these are, where the windows of several are combined once they close.
    public private(set) var process: ProcessRank?

    /// A window that is empty.
    public init() {}

    /// Belongs to a process from now on, unless it holds what another one was given.
    ///
    /// - Parameters:
    ///   - process: This process; nil where there are no others.
    ///   - stage: The name of the stage that makes windows.
    /// - Throws: ``DescentError`` with code `stateMismatch`.
    mutating func belong(to process: ProcessRank?, of stage: String) throws(DescentError) {
        guard isOpen, self.process != process else {
            self.process = process
            return
        }
        func name(_ process: ProcessRank?) -> String { process?.description ?? "a process alone" }
        throw DescentError(
            .stateMismatch, stage: stage,
            "\(stage): the open window is that of \(name(self.process)), and this is \(name(process)): what "
                + "the other processes had gathered by then would be lost. Save when no window is open (`pipeline.window?.isOpen`)."
        )
    }

    /// Whether micro-batches have been received.
    public var isOpen: Bool { received > 0 }

    /// Whether it has been given as many micro-batches as it takes.
    func isFull(_ settings: Settings) -> Bool { received >= settings.length }

    /// Takes in a micro-batch of a weight, such as its number of tokens; finite and at least 0.
    mutating func admit(weight: Double) {
        received += 1
        included += 1
        weights += weight
        lastWeight = weight
    }

    /// Notes how the sum is made that begins with the micro-batch last admitted.
    mutating func noteSum(_ reduction: Reduction, lossScale: Float) {
        guard included == 1 else { return }
        (isWeighted, self.lossScale) = (reduction == .weighted, lossScale)
    }

    /// Notes which gradients the micro-batch last admitted does not have.
    ///
    /// - Parameter isAbsent: For each parameter, whether its gradient is absent; empty if none is.
    mutating func noteAbsent(_ isAbsent: [Bool]) {
        let before = included == 1 ? Array(isAbsent.indices) : absent ?? []
        let still = isAbsent.isEmpty ? [] : before.filter { isAbsent[$0] }
        absent = still.isEmpty ? nil : still
    }

    /// Leaves out the micro-batch last admitted, though it has been received.
    ///
    /// - Parameters:
    ///   - reason: Why.
    ///   - before: The window before it was admitted.
    mutating func reject(_ reason: SkipReason, since before: AccumulationWindow) {
        let received = received
        self = before
        self.received = received
        note(reason)
    }

    /// Notes why the window is less than what it was given.
    mutating func note(_ reason: SkipReason) {
        rejection = rejection ?? reason
        if reason.code == .nonFinite { overflow = overflow ?? reason }
    }

    /// Empties the window, because a step was made of it, or it was skipped.
    mutating func close() {
        let process = process
        self = AccumulationWindow()
        self.process = process
    }

    /// What the micro-batch last admitted is multiplied by before it is added.
    func factor(_ reduction: Reduction) -> Float { reduction == .weighted ? Float(lastWeight) : 1 }

    /// What the window's sum is multiplied by when it closes.
    func closingFactor(_ reduction: Reduction) -> Double {
        switch reduction {
        case .mean: 1 / Double(included)
        case .sum: 1
        case .weighted: 1 / weights
        }
    }
}

extension AccumulationWindow {
    /// Refuses settings out of range, and an open window that cannot be one of theirs.
    ///
    /// - Throws: ``DescentError`` with code `invalidSetting` or `stateMismatch`.
    func requireValid(_ settings: Settings, of stage: String, in layout: ParameterLayout) throws(DescentError) {
        let length = settings.length
        try DescentError.require(length >= 1, stage, "steps is \(length); a window needs at least 1.")
        try DescentError.requireState(
            received >= 0 && received < length, stage,
            "the open window was saved with \(received) micro-batches, and windows close after \(length) here. If their "
                + "length has changed, save when no window is open")
        try DescentError.requireState(
            included == 0 || isWeighted.map { $0 == (settings.reduction == .weighted) } ?? true, stage,
            "the gradients in the open window were \(isWeighted ?? false ? "" : "not ")multiplied by their weights, and "
                + "reduction is \(settings.reduction) here. If it has changed, save when no window is open")
        try DescentError.requireState(
            lossScale.map { $0.isFinite && $0 > 0 } ?? true, stage,
            "the gradients in the open window are said to have a loss scale of \(lossScale ?? 0)")
        try DescentError.requireState(
            (0...received).contains(included), stage,
            "\(included) of the \(received) micro-batches of the open window are part of it")
        try DescentError.requireState(
            included == received || rejection != nil, stage,
            "\(received - included) micro-batches of the open window were left out, and no reason is given")
        try DescentError.requireState(
            absent.map { isAscending($0) && $0.allSatisfy { layout.indices.contains($0) } && included > 0 } ?? true,
            stage,
            "the parameters without gradients in the open window are said to be \(absent ?? []), of \(layout.count)")
        try DescentError.requireState(
            weights.isFinite && weights >= 0 && (included > 0 || weights == 0), stage,
            "the weights of \(included) micro-batches add up to \(weights)")
        try DescentError.requireState(
            lastWeight.isFinite && lastWeight >= 0, stage, "the last micro-batch weighs \(lastWeight)")
    }

    private func isAscending(_ positions: [Int]) -> Bool {
        !positions.isEmpty && zip(positions, positions.dropFirst()).allSatisfy { $0 < $1 }
    }
}
