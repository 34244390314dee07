/// Which elements of a parameter share a scale where a slot is kept in codes of 8 bits.
///
/// A row of 512 elements or more is made of runs of 512, of which the last takes what is left; of a run, every sixteenth
/// element is in one group, so that sixteen groups lie side by side as the places of a vector do. A group of a shorter row is
/// 32 elements that follow on each other, or what is left of the row; where units are the last dimension, 16 along that. So
/// groups lie within blocks, however a parameter is cut into blocks of rows. Parameters of less than 4,096 elements, vectors
/// and those with less than 8 elements a row are not kept in codes: there is little to save.
package struct CodeGroups: Sendable {
    /// How many elements a parameter has to have.
    static let smallestCount = 4_096
    /// How many elements a row has to have.
    static let smallestLine = 8
    /// How many elements a run of groups that lie side by side has, but for the last of a row.
    static let run = 512

    /// How many runs of contiguous elements are divided into groups: rows, or what lies across them.
    package let lineCount: Int
    /// How many elements each has.
    package let lineLength: Int
    /// Whether sixteen groups lie side by side.
    package let areInterleaved: Bool
    /// How many elements that follow on each other a group has where they do not, but for the last of a line.
    package let length: Int
    /// Whether the parameter is kept in codes.
    package let areUsed: Bool

    package init(_ parameter: ParameterDescription) {
        let isLast = parameter.outputAxis == .last
        lineCount = isLast ? parameter.columnCount : parameter.rowCount
        lineLength = isLast ? parameter.rowCount : parameter.columnCount
        areInterleaved = !isLast && lineLength >= Self.run
        length = isLast ? 16 : 32
        areUsed = parameter.count >= Self.smallestCount && lineLength >= Self.smallestLine
    }

    /// How many groups a line has.
    package var countOfLine: Int {
        areInterleaved ? lineLength / Self.run * 16 : (lineLength + length - 1) / length
    }

    /// The position of the group that begins at an offset in the parameter's memory: of a line's first one, where groups lie
    /// side by side.
    package func position(at offset: Int) -> Int {
        offset / lineLength * countOfLine + (areInterleaved ? 0 : offset % lineLength / length)
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
