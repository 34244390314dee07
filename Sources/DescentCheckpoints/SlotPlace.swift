import DescentCore
import DescentSafetensors

/// Where the numbers of a slot are in a file.
struct SlotPlace {
    /// A tensor in the file, with a run of the numbers that the slot keeps of a parameter.
    struct Piece {
        let entry: SafetensorsEntry
        let run: Range<Int>
    }

    let shape: Slot.Shape
    private let elementType: ElementType
    /// What the slot keeps of all parameters.
    let layout: ParameterLayout
    /// For each parameter the tensors that hold it, in order.
    private let pieces: [[Piece]]

    /// The names of all tensors.
    var names: [String] { pieces.flatMap { $0.map(\.entry.name) } }

    /// Finds a slot's tensors, which have to be there and of the right shapes.
    ///
    /// - Throws: ``DescentError`` that names the tensor.
    init(
        of slot: CheckpointRecord.Slot, kind: String, at index: Int, in record: CheckpointRecord,
        _ file: SafetensorsFile, of parameters: ParameterLayout
    ) throws(DescentError) {
        shape = slot.shape ?? .parameter
        elementType = slot.elementType
        layout = try CheckpointRecord.layout(of: slot, in: parameters)
        var pieces: [[Piece]] = []
        for (parameter, kept) in zip(record.parameters, layout) {
            let bounds = shape.isDividedByRows && kept.count > 0 ? parameter.bounds : nil
            var found: [Piece] = []
            for (start, end) in bounds.map({ Array(zip($0, $0.dropFirst())) }) ?? [(0, 1)] {
                let rows = bounds.map { _ in start..<end }
                let prefix = CheckpointRecord.prefix(ofSlot: slot.name, kind: kind, at: index, rows: rows)
                let entry = try file.entry(
                    prefix + parameter.name, shape: rows.map { [$0.count] + kept.shape.dropFirst() } ?? kept.shape,
                    stored: elementType)
                let length = kept.count / (bounds?.last ?? 1)
                found.append(Piece(entry: entry, run: start * length..<end * length))
            }
            pieces.append(found)
        }
        self.pieces = pieces
    }

    /// Reads the slot, or what one of several processes holds of it.
    ///
    /// - Throws: ``DescentError`` that names the tensor which is damaged.
    func read<Backend: TensorBackend>(
        _ file: SafetensorsFile, on backend: Backend, of parameters: ParameterLayout, _ division: RowDivision?
    ) throws(DescentError) -> Backend.Tensors {
        var (held, origins) = (layout, [Int](repeating: 0, count: layout.count))
        if let division {
            (held, origins) = try division.part(of: layout, shape, of: parameters, rank: division.rank)
        }
        var tensors = backend.makeTensors(held, elementType)
        for (index, origin) in origins.enumerated() {
            let wanted = origin..<origin + held[index].count
            try tensors.withMutableBytes(of: index) { bytes throws(DescentError) in
                for piece in pieces[index] where piece.run.overlaps(wanted) {
                    let run = piece.run.clamped(to: wanted)
                    try file.read(
                        piece.entry, elements: run.moved(by: -piece.run.lowerBound), as: elementType,
                        into: UnsafeMutableRawBufferPointer(
                            rebasing: bytes[run.moved(by: -origin).scaled(by: elementType.byteCount)]))
                }
            }
        }
        return tensors
    }
}

extension CheckpointRecord {
    /// Where the numbers of all slots are in a file, by component.
    ///
    /// - Throws: ``DescentError`` that names a tensor which is missing, of another shape or of none of them.
    func places(in file: SafetensorsFile, of layout: ParameterLayout) throws(DescentError) -> [[SlotPlace]] {
        var places: [[SlotPlace]] = []
        var beginnings: [String] = []
        for (index, component) in components.enumerated() {
            var ofComponent: [SlotPlace] = []
            for slot in component.slots {
                ofComponent.append(
                    try SlotPlace(of: slot, kind: component.kind, at: index, in: self, file, of: layout))
                let prefix = Self.prefix(ofSlot: slot.name, kind: component.kind, at: index)
                beginnings += [prefix, prefix.dropLast() + "["]
            }
            places.append(ofComponent)
        }
        let names = Set(places.joined().flatMap(\.names))
        try file.refuseOthers(than: names) { name in
            !name.hasPrefix(Self.parameterPrefix) && beginnings.contains { name.hasPrefix($0) }
        }
        return places
    }
}

extension Slot.Shape {
    /// Whether what is kept of a run of rows can be told from what is kept of others.
    var isDividedByRows: Bool {
        switch self {
        case .parameter, .uncoded, .row, .group: true
        case .column, .matrixRow, .matrixColumn, .tensor: false
        }
    }
}

extension RowDivision {
    /// Where the rows of a parameter are divided, from 0 to their number; nil if one process holds all of them.
    func bounds(of parameter: Int) -> [Int]? {
        isDivided(parameter) ? [0] + rows.map { $0[parameter] }.filter { !$0.isEmpty }.map(\.upperBound) : nil
    }

    /// Refuses to be used for parameters that have other rows.
    ///
    /// - Throws: ``DescentError`` with code `stateMismatch`.
    func requireRows(of layout: ParameterLayout) throws(DescentError) {
        let areOfAll = rows.allSatisfy { $0.count == layout.count }
        guard areOfAll, layout.indices.allSatisfy({ rowCount(of: $0) == layout[$0].rowCount }) else {
            throw DescentError(
                .stateMismatch, "What was saved is the state of other parameters than these processes have.")
        }
    }

    /// How many rows of a parameter all processes together hold.
    private func rowCount(of parameter: Int) -> Int {
        rows.reduce(0) { $0 + $1[parameter].count }
    }
}

extension Range<Int> {
    fileprivate func moved(by distance: Int) -> Range { lowerBound + distance..<upperBound + distance }
    fileprivate func scaled(by factor: Int) -> Range { lowerBound * factor..<upperBound * factor }
}
