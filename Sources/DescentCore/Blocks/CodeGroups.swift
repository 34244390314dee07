/// Which elements of a parameter share a scale where a slot is kept in codes of 8 bits.
///
/// A group is 32 elements that follow on each other in a row, or what is left of the row; where units are the last dimension,
/// 16 elements along that. So groups lie within blocks, however a parameter is cut into blocks of rows. Parameters of less
/// than 4,096 elements, vectors and those with less than 8 elements a row are not kept in codes: there is little to save.
package struct CodeGroups: Sendable {
    /// How many elements a parameter has to have.
    static let smallestCount = 4_096
    /// How many elements a row has to have.
    static let smallestLine = 8

    /// How many runs of contiguous elements are divided into groups: rows, or what lies across them.
    package let lineCount: Int
    /// How many elements each has.
    package let lineLength: Int
    /// How many elements a group has, but for the last of a line.
    package let length: Int
    /// Whether the parameter is kept in codes.
    package let areUsed: Bool

    package init(_ parameter: ParameterDescription) {
        let isLast = parameter.outputAxis == .last
        lineCount = isLast ? parameter.columnCount : parameter.rowCount
        lineLength = isLast ? parameter.rowCount : parameter.columnCount
        length = isLast ? 16 : 32
        areUsed = parameter.count >= Self.smallestCount && lineLength >= Self.smallestLine
    }

    /// How many groups a line has.
    package var countOfLine: Int { (lineLength + length - 1) / length }

    /// The position of the group that begins at an offset in the parameter's memory.
    package func position(at offset: Int) -> Int {
        offset / lineLength * countOfLine + offset % lineLength / length
    }
}

extension Slot {
    /// What is kept for slots: they themselves, and behind them, for each that is kept in codes, the scales of its groups and
    /// the numbers of parameters that are not.
    static func stored(_ slots: [Slot]) -> [Slot] {
        slots
            + slots.filter(\.elementType.isCoded).flatMap { slot in
                [
                    Slot("\(slot.name) scales", .uint8, shape: .group),
                    Slot("\(slot.name) uncoded", .float32, shape: .uncoded),
                ]
            }
    }
}
