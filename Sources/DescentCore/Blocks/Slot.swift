/// A buffer that a stage or an optimizer keeps between steps for each of its parameters, zero at first.
///
/// A string literal is a slot of float32 with the shape of the parameter: `["velocity"]`.
public struct Slot: Sendable, Hashable, ExpressibleByStringLiteral {
    /// The name, unique within its owner.
    public let name: String
    /// How its elements are stored.
    ///
    /// What is kept in bfloat16 is rounded at random, up or down in proportion to the distance: a running mean, whose
    /// steps are smaller than half of the last place, would stand still if it were rounded to nearest. The random bits
    /// come from the step and the element's place, so that results are the same in every run.
    public let elementType: ElementType

    /// What a slot is kept for, as far as the pipeline makes use of it.
    public enum Role: Sendable, Hashable {
        /// Whatever its owner needs it for.
        case buffer
        /// An average of the parameters, which `pipeline.averagedParameters` gives.
        ///
        /// Where a stage has frozen parameters, the pipeline makes their average what they are.
        case parameterAverage
    }

    /// How many numbers a slot keeps of a parameter.
    public enum Shape: String, Sendable, Hashable, Codable, CaseIterable {
        /// One for each element.
        case parameter
        /// One for each row, which is an output unit; a block has those of its rows.
        case row
        /// One for each column, that is for each element of a row.
        ///
        /// Every block of a parameter sees the same ones. What a stage writes to them lasts only where it is handed whole
        /// tensors (``StageReach/tensors(inTurn:)``).
        case column
        /// One for each row of the matrices that the last two dimensions make, of which a tensor of rank 3 or more is a stack;
        /// a matrix has as many as its first dimension, whichever the output unit is, and a vector one an element. As with
        /// columns, only a stage that is handed whole tensors can change it.
        case matrixRow = "matrix row"
        /// The same for each column of these matrices; a vector has one.
        case matrixColumn = "matrix column"
        /// One for the whole tensor; as with columns, only a stage that is handed whole tensors can change it.
        case tensor
        /// One for each group of elements that share a scale in a slot of 8 bits; the pipeline keeps it beside that slot,
        /// and no stage sees it.
        case group
        /// One for each element of those parameters that a slot of 8 bits does not keep in codes; kept in the same way.
        case uncoded = "uncoded element"
    }

    /// What the slot is kept for.
    public let role: Role
    /// How many numbers it keeps of a parameter.
    public let shape: Shape

    /// Describes a slot.
    ///
    /// - Parameters:
    ///   - name: Its name, unique within its owner.
    ///   - elementType: How its elements are stored; float32 unless it has the shape of the parameter.
    ///   - shape: How many numbers it keeps of a parameter.
    ///   - role: What it is kept for.
    public init(
        _ name: String, _ elementType: ElementType = .float32, shape: Shape = .parameter, role: Role = .buffer
    ) {
        self.name = name
        self.elementType = elementType
        self.shape = shape
        self.role = role
    }

    /// Whether it keeps numbers for rows or columns, which depend on where a parameter's outputs are.
    package var isOfRows: Bool {
        switch shape {
        case .row, .column, .matrixRow, .matrixColumn: true
        case .parameter, .tensor, .group, .uncoded: false
        }
    }

    /// What the slot keeps of each parameter of a layout.
    ///
    /// - Parameters:
    ///   - shape: How many numbers it keeps of a parameter.
    ///   - elementType: How they are stored.
    ///   - layout: The parameters.
    ///   - isUsed: For each, whether its owner works on it; of others nothing is kept. Nil for all.
    /// - Returns: A layout of the same names in the same order, in which those of which nothing is kept are empty.
    /// - Throws: ``DescentError`` if all of it together is more than memory can hold.
    package static func layout(
        _ shape: Shape, _ elementType: ElementType = .float32, of layout: ParameterLayout, isUsed: [Bool]? = nil
    ) throws(DescentError) -> ParameterLayout {
        let isOfCodes = shape == .group || elementType.isCoded
        if shape == .parameter, !isOfCodes, isUsed?.contains(false) != true { return layout }
        var kept: [ParameterDescription] = []
        for (index, parameter) in layout.enumerated() {
            let groups = CodeGroups(parameter)
            let isKept = isOfCodes ? groups.areUsed : shape != .uncoded || !groups.areUsed
            guard isUsed?[index] ?? true, parameter.count > 0, isKept else {
                kept.append(try ParameterDescription(parameter.name, shape: [0]))
                continue
            }
            switch shape {
            case .parameter, .uncoded: kept.append(parameter)
            case .group:
                kept.append(
                    try ParameterDescription(parameter.name, shape: [groups.lineCount, groups.countOfLine]))
            case .row: kept.append(try ParameterDescription(parameter.name, shape: [parameter.rowCount]))
            case .column: kept.append(try ParameterDescription(parameter.name, shape: [parameter.columnCount]))
            case .matrixRow: kept.append(try ParameterDescription(parameter.name, shape: [parameter.matrices.rowCount]))
            case .matrixColumn:
                kept.append(try ParameterDescription(parameter.name, shape: [parameter.matrices.columnCount]))
            case .tensor: kept.append(try ParameterDescription(parameter.name, shape: []))
            }
        }
        return try ParameterLayout(kept)
    }

    /// What the slots of each stage are named after: its name, with a number where others before it have the same.
    static func owners(_ names: [String]) -> [String] {
        var counts: [String: Int] = [:]
        return names.map { name in
            counts[name, default: 0] += 1
            return counts[name].map { $0 > 1 ? "\(name)#\($0)" : name } ?? name
        }
    }

    /// A slot of float32.
    public init(stringLiteral name: String) { self.init(name) }
}
