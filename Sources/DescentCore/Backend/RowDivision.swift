/// Which rows of each parameter each of several processes works on, and keeps state of.
///
/// Rows are dealt out in even runs. A parameter goes as a whole to one process if it has fewer rows than there are
/// processes, if it has fewer than two dimensions, if its output units are its last dimension, whose rows do not lie
/// together, or if a stage needs it whole; each of them to the process that holds least so far.
public struct RowDivision: Sendable, Hashable {
    /// For each process, the rows of each parameter that it holds; an empty range where it holds none.
    public let rows: [[Range<Int>]]
    /// The number of this process, from 0.
    public let rank: Int

    /// The number of processes.
    public var rankCount: Int { rows.count }
    /// The rows of each parameter that this process holds.
    public var own: [Range<Int>] { rows[rank] }

    /// Deals out the rows of a layout.
    ///
    /// - Parameters:
    ///   - layout: The parameters.
    ///   - rankCount: The number of processes, at least 1.
    ///   - rank: The number of this one.
    ///   - isWhole: For each parameter, whether it must not be divided; empty if all may be.
    public init(of layout: ParameterLayout, among rankCount: Int, rank: Int, keepingWhole isWhole: [Bool] = []) {
        var rows = [[Range<Int>]](repeating: [], count: rankCount)
        var loads = [Int](repeating: 0, count: rankCount)
        for (index, parameter) in layout.enumerated() {
            let isDivided =
                parameter.rank > 1 && parameter.outputAxis == .first && parameter.rowCount >= rankCount
                && (isWhole.isEmpty || !isWhole[index])
            let owner = loads.indices.min { loads[$0] < loads[$1] } ?? 0
            for other in 0..<rankCount {
                let bounds = [other, other + 1].map { bound in
                    isDivided ? parameter.rowCount * bound / rankCount : bound > owner ? parameter.rowCount : 0
                }
                rows[other].append(bounds[0]..<bounds[1])
                loads[other] += (bounds[1] - bounds[0]) * parameter.columnCount
            }
        }
        self.rows = rows
        self.rank = rank
    }

    /// Whether several processes hold rows of a parameter.
    public func isDivided(_ parameter: Int) -> Bool { rows.count { !$0[parameter].isEmpty } > 1 }

    /// The first process that holds something of a parameter; of one without rows, the first of all.
    public func firstHolder(of parameter: Int) -> Int { rows.firstIndex { !$0[parameter].isEmpty } ?? 0 }

    /// Whether this process holds a block's rows, which lie on one side of where parameters are cut.
    func holds(_ block: BlockExtent) -> Bool { own[block.parameterIndex].contains(block.rows.lowerBound) }

    /// Cuts blocks where this process's rows begin and end.
    ///
    /// - Parameters:
    ///   - blocks: All blocks of the layout, in order.
    ///   - layout: The parameters.
    /// - Returns: The same rows in as many blocks or more; each counts the rows before it among those that are held alike.
    func cut(_ blocks: [BlockExtent], of layout: ParameterLayout) -> [BlockExtent] {
        var cut: [BlockExtent] = []
        var firstRows = (held: 0, others: 0)
        for block in blocks {
            let (parameter, held) = (block.parameterIndex, own[block.parameterIndex])
            let bounds = [block.rows.lowerBound, held.lowerBound, held.upperBound, block.rows.upperBound]
                .filter { $0 >= block.rows.lowerBound && $0 <= block.rows.upperBound }.sorted()
            for rows in zip(bounds, bounds.dropFirst()).map({ $0..<$1 }) where !rows.isEmpty {
                let isHeld = held.contains(rows.lowerBound)
                cut.append(
                    BlockExtent(
                        parameterIndex: parameter, rows: rows, firstRow: isHeld ? firstRows.held : firstRows.others))
                guard layout[parameter].rank > 1 else { continue }
                if isHeld { firstRows.held += rows.count } else { firstRows.others += rows.count }
            }
        }
        return cut
    }

    /// What a process holds of a slot.
    ///
    /// - Parameters:
    ///   - whole: What the slot keeps of the parameters where one process keeps all; see `Slot.layout`.
    ///   - shape: How many numbers it keeps of a parameter.
    ///   - layout: The parameters.
    ///   - rank: The process.
    /// - Returns: A layout of the same names in the same order, of which those that the process has nothing of are empty,
    ///   and for each the position, in the whole, of the first number that it has. What is kept of columns, or of a whole
    ///   tensor, each process has that holds rows of it.
    /// - Throws: ``DescentError`` never, since parts of valid parameters are valid.
    package func part(
        of whole: ParameterLayout, _ shape: Slot.Shape, of layout: ParameterLayout, rank: Int
    ) throws(DescentError) -> (layout: ParameterLayout, origins: [Int]) {
        var parts: [ParameterDescription] = []
        var origins: [Int] = []
        for (index, kept) in whole.enumerated() {
            let (held, parameter) = (rows[rank][index], layout[index])
            guard kept.count > 0, held.count < parameter.rowCount else {
                parts.append(kept)
                origins.append(0)
                continue
            }
            switch shape {
            case _ where held.isEmpty:
                parts.append(try ParameterDescription(kept.name, shape: [0]))
                origins.append(0)
            case .parameter, .uncoded, .row, .group:
                parts.append(try ParameterDescription(kept.name, shape: [held.count] + kept.shape.dropFirst()))
                origins.append(held.lowerBound * (kept.count / parameter.rowCount))
            case .column, .matrixRow, .matrixColumn, .tensor:
                parts.append(kept)
                origins.append(0)
            }
        }
        return (try ParameterLayout(parts), origins)
    }
}
