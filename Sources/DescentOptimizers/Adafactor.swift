public import DescentCore

/// Steps relative to parameters, with second moments that are kept for rows and columns alone, as PyTorch defines it.
///
///     b = t^beta2Decay
///     R = (1 - b) * R + b * mean of g * g over each row;  C = the same over each column
///     V = R * C / max(mean of R, epsilon1)               (below rank 2: V = (1 - b) * V + b * g * g)
///     u = g / sqrt(max(V, epsilon1^2))
///     a = min(learningRate, 1 / sqrt(t)) * max(epsilon2, root of the mean of p * p)
///     p = p * (1 - learningRate * weightDecay)
///     p = p - a / max(1, root of the mean of u * u / clipThreshold) * u
///
/// t counts applied steps from 1. Rows and columns are those of the last two dimensions; a tensor of higher rank is a stack of
/// such matrices. Because the rate is bounded by that of the square root, p is not moved along a direction, and nothing can
/// stand behind this optimizer. It is handed whole tensors. State: 4 bytes for each row and each column, below rank 2
/// for each element. Shazeer and Stern, "Adafactor: adaptive learning rates with sublinear memory cost" (2018).
///
/// Second moments beyond float32's range count as its largest number, and below 1.2e-38 as 0.
public struct Adafactor: Optimizer {
    public var learningRate: Schedule
    /// The power of t that the share of new squares is.
    public var beta2Decay: Double
    /// What keeps second moments from 0: their root is at least this.
    public var epsilon1: Double
    /// What keeps the step of a small parameter from 0.
    public var epsilon2: Double
    /// The largest root of the mean of squares that an update may have.
    public var clipThreshold: Double
    public var weightDecay: Schedule
    /// Whether parameters climb along the gradient instead of descending.
    public var maximize: Bool
    public var groups: [ParameterGroup]
    private var rules: GroupedRules<Bool>
    /// The matrices of each parameter; nil where it is none.
    private var matrices: [MatrixStack?] = []
    private var step = 1
    private var missedSteps: [Int] = []

    /// Makes an optimizer.
    ///
    /// - Parameters:
    ///   - learningRate: The largest step relative to the parameter, finite and at least 0, or a schedule of such.
    ///   - beta2Decay: The power of t that the share of new squares is, finite and at most 0.
    ///   - epsilon1: What keeps second moments from 0, finite and at least 0; by default the smallest step of float32.
    ///   - epsilon2: What keeps the step of a small parameter from 0, finite and at least 0.
    ///   - clipThreshold: The largest root of the mean of squares that an update may have, finite and above 0.
    ///   - weightDecay: The share of a parameter, times the learning rate, that a step takes away; finite and at least 0.
    ///   - maximize: Whether to climb: g = -g first.
    ///   - groups: Settings for some of the parameters.
    public init(
        learningRate: some ScheduleConvertible = 0.01, beta2Decay: Double = -0.8,
        epsilon1: Double = Double(Float.ulpOfOne), epsilon2: Double = 0.001, clipThreshold: Double = 1,
        weightDecay: some ScheduleConvertible = 0.0, maximize: Bool = false, groups: [ParameterGroup] = []
    ) {
        self.learningRate = learningRate.schedule
        self.beta2Decay = beta2Decay
        self.epsilon1 = epsilon1
        self.epsilon2 = epsilon2
        self.clipThreshold = clipThreshold
        self.weightDecay = weightDecay.schedule
        self.maximize = maximize
        self.groups = groups
        rules = GroupedRules(maximize)
    }

    public var groupSettings: [GroupSettings.Name] { [.maximize] }
    public var slots: [Slot] { [Slot("rows", shape: .matrixRow), Slot("columns", shape: .matrixColumn)] }
    public var reach: StageReach { .tensors(inTurn: false) }

    public func scratchCount(for parameter: ParameterDescription) -> Int { 2 * parameter.matrices.columns }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try DescentError.require(
            beta2Decay.isFinite && beta2Decay <= 0, name, "beta2Decay is \(beta2Decay); it has to be at most 0.")
        try requireNotNegative(epsilon1, "epsilon1", of: name)
        try requireNotNegative(epsilon2, "epsilon2", of: name)
        try DescentError.requirePositive(clipThreshold, "clipThreshold", of: name)
        let usual = maximize
        rules = try GroupedRules(groups, of: name, in: layout) { settings, _ throws(DescentError) in
            settings.maximize ?? usual
        }
        matrices = layout.map { $0.rank > 1 ? $0.matrices : nil }
    }

    public mutating func prepare(appliedSteps: Int, missedSteps: [Int]) {
        step = appliedSteps + 1
        self.missedSteps = missedSteps
    }

    public func update(_ block: inout some UpdateBlock) {
        let (matrices, rates) = (matrices[block.parameterIndex], block.rates)
        let step = Double(missedSteps.isEmpty ? step : step - missedSteps[block.parameterIndex])
        if rules[block.parameterIndex] { block.scale(by: -1) }
        let moments = FactoredMoments(share: ReproducibleMath.power(step, beta2Decay), epsilon: epsilon1)
        block.withUnsafeElements { memory in
            guard let gradient = memory.gradient.baseAddress, let parameters = memory.parameters.baseAddress,
                let rows = memory.slots[0].baseAddress, let columns = memory.slots[1].baseAddress
            else { return }
            let count = memory.gradient.count
            if let matrices {
                moments.divide(gradient, matrices, rows: rows, columns: columns, scratch: memory.scratch)
            } else {
                moments.divide(gradient, count: count, moments: rows)
            }
            let size = Self.rootOfMeanSquare(parameters, count)
            let excess = Self.rootOfMeanSquare(gradient, count) / clipThreshold
            let rate = min(Double(rates.learningRate), 1 / step.squareRoot()) * max(epsilon2, size) / max(1, excess)
            let kept = Float(1 - Double(rates.learningRate) * Double(rates.weightDecay))
            let taken = Float(rate)
            for index in 0..<count { parameters[index] = parameters[index] * kept - taken * gradient[index] }
        }
    }

    /// The root of the mean of squares, added in Double.
    private static func rootOfMeanSquare(_ elements: UnsafePointer<Float>, _ count: Int) -> Double {
        (sumOfSquares(elements, count) / Double(count)).squareRoot()
    }
}

/// Second moments of matrices, kept for rows and columns, for one step.
struct FactoredMoments {
    /// How much of new squares is taken up.
    private let share: Double
    /// The smallest mean of a matrix, and the smallest second moment.
    private let (smallestMean, smallestMoment): (Double, Float)

    init(share: Double, epsilon: Double) {
        self.share = share
        smallestMean = max(epsilon, Double(Float.leastNormalMagnitude))
        smallestMoment = max(Float(epsilon * epsilon), .leastNormalMagnitude)
    }

    /// Takes up a gradient of rank 2 or more, and divides it by the roots of second moments.
    ///
    /// - Parameters:
    ///   - gradient: The elements, row by row and matrix by matrix; the quotients afterwards.
    ///   - matrices: What it consists of.
    ///   - rows: The moments of rows.
    ///   - columns: The moments of columns.
    ///   - scratch: Room for two floats a column of one matrix.
    func divide(
        _ gradient: UnsafeMutablePointer<Float>, _ matrices: MatrixStack, rows: UnsafeMutablePointer<Float>,
        columns: UnsafeMutablePointer<Float>, scratch: UnsafeMutableBufferPointer<Float>
    ) {
        stopUnless(scratch.count >= 2 * matrices.columns, "Adafactor needs a backend that lends scratch.")
        guard let room = scratch.baseAddress else { return }
        UnsafeMutableRawPointer(room).withMemoryRebound(to: Double.self, capacity: matrices.columns) { sums in
            for matrix in 0..<matrices.count {
                let elements = gradient + matrix * matrices.rows * matrices.columns
                let (rows, columns) = (rows + matrix * matrices.rows, columns + matrix * matrices.columns)
                let mean = takeUp(elements, matrices, rows: rows, columns: columns, sums: sums)
                for row in 0..<matrices.rows {
                    let factor = Float(Double(rows[row]) / mean)
                    divide(elements + row * matrices.columns, by: columns, times: factor, count: matrices.columns)
                }
            }
        }
    }

    /// Divides a row by the roots of its columns' moments times a factor.
    private func divide(
        _ row: UnsafeMutablePointer<Float>, by columns: UnsafePointer<Float>, times factor: Float, count: Int
    ) {
        let smallest = smallestMoment
        for column in 0..<count {
            let moment = factor * columns[column]
            row[column] /= ReproducibleMath.squareRoot(moment > smallest ? moment : smallest)
        }
    }

    /// Takes up the squares of one matrix; gives the mean of its rows' moments.
    private func takeUp(
        _ gradient: UnsafePointer<Float>, _ matrices: MatrixStack, rows: UnsafeMutablePointer<Float>,
        columns: UnsafeMutablePointer<Float>, sums: UnsafeMutablePointer<Double>
    ) -> Double {
        let (rowCount, columnCount) = (matrices.rows, matrices.columns)
        sums.initialize(repeating: 0, count: columnCount)
        var total = 0.0
        for row in 0..<rowCount {
            let elements = gradient + row * columnCount
            rows[row] = mixed(rows[row], sumOfSquares(elements, columnCount) / Double(columnCount))
            total += Double(rows[row])
            for column in 0..<columnCount { sums[column] += Double(elements[column]) * Double(elements[column]) }
        }
        for column in 0..<columnCount { columns[column] = mixed(columns[column], sums[column] / Double(rowCount)) }
        return max(total / Double(rowCount), smallestMean)
    }

    /// Takes up a gradient of rank 0 or 1, and divides it by the roots of second moments.
    func divide(_ gradient: UnsafeMutablePointer<Float>, count: Int, moments: UnsafeMutablePointer<Float>) {
        for index in 0..<count {
            moments[index] = mixed(moments[index], Double(gradient[index]) * Double(gradient[index]))
            gradient[index] /= ReproducibleMath.squareRoot(max(moments[index], smallestMoment))
        }
    }

    /// A moment with a square taken up, within float32's range.
    private func mixed(_ moment: Float, _ square: Double) -> Float {
        let mixture = (1 - share) * Double(moment) + share * square
        return mixture > Double(Float.greatestFiniteMagnitude) ? .greatestFiniteMagnitude : Float(mixture).flushed
    }
}

/// The sum of squares, in Double; the order of additions does not depend on the machine.
private func sumOfSquares(_ elements: UnsafePointer<Float>, _ count: Int) -> Double {
    var sums = SIMD8<Double>()
    let whole = count / 8 * 8
    for start in stride(from: 0, to: whole, by: 8) {
        for lane in 0..<8 { sums[lane] += Double(elements[start + lane]) * Double(elements[start + lane]) }
    }
    for index in whole..<count { sums[index - whole] += Double(elements[index]) * Double(elements[index]) }
    return (0..<8).reduce(0) { $0 + sums[$1] }
}

extension Adafactor: DescribedOptimizer {
    private enum CodingKeys: CodingKey {
        case learningRate, beta2Decay, epsilon1, epsilon2, clipThreshold, weightDecay, maximize, groups
    }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self())
        try self.init(
            learningRate: settings.value(.learningRate, or: usual.learningRate),
            beta2Decay: settings.value(.beta2Decay, or: usual.beta2Decay),
            epsilon1: settings.value(.epsilon1, or: usual.epsilon1),
            epsilon2: settings.value(.epsilon2, or: usual.epsilon2),
            clipThreshold: settings.value(.clipThreshold, or: usual.clipThreshold),
            weightDecay: settings.value(.weightDecay, or: usual.weightDecay),
            maximize: settings.value(.maximize, or: usual.maximize), groups: settings.value(.groups, or: usual.groups))
    }
}
