// What rows are understood to be, which nobody notices where it is wrong.

extension Explanation {
    /// What the rows of each matrix are, where a station's result depends on it; nothing elsewhere.
    var rows: [String] {
        var (names, isListed) = ([String](), [Bool](repeating: false, count: layout.count))
        for station in stations {
            let matrices = layout.indices.filter { layout[$0].isMatrix && dependsOnRows(station, of: $0) }
            for index in matrices { isListed[index] = true }
            if !matrices.isEmpty, !names.contains(station.name) { names.append(station.name) }
        }
        guard !names.isEmpty else { return [] }
        let matrices = layout.indices.filter { isListed[$0] }.map { layout[$0] }
        return ["Rows, for \(names.joined(separator: ", "))"] + understood(matrices) + doubts(about: matrices)
    }

    private func dependsOnRows(_ station: Station, of index: Int) -> Bool {
        let parameter = layout[index]
        switch station.kind {
        case .transform(let position):
            let isWorkedOn = station.branch.map { owners.branches[index] == $0 } ?? !isFrozen[index]
            let transform = transforms[position]
            return isWorkedOn && transform.restriction?.contains(parameter) ?? true
                && transform.dependsOnRows(of: parameter)
        case .optimizer(let branch):
            return owners.branches[index] == branch
                && elements.branches[branch].branch.optimizer.dependsOnRows(of: parameter)
        }
    }

    /// What their rows are, a line for all that are alike.
    private func understood(_ matrices: [ParameterDescription]) -> [String] {
        var (kinds, members) = ([RowKind](), [RowKind: [String]]())
        for matrix in matrices {
            let kind = RowKind(matrix)
            if members[kind] == nil { kinds.append(kind) }
            members[kind, default: []].append(matrix.name)
        }
        let shown = kinds.prefix(Self.longestRowList)
        var lines = shown.map { "  \($0.text): \(listed(members[$0] ?? []))" }
        let hidden = kinds.dropFirst(shown.count).reduce(0) { $0 + (members[$1]?.count ?? 0) }
        if hidden > 0 { lines.append("  \(hidden) more in \(kinds.count - shown.count) other shapes") }
        return lines
    }

    /// Those whose names speak for the other axis.
    private func doubts(about matrices: [ParameterDescription]) -> [String] {
        OutputAxis.allCases.compactMap { axis in
            let doubtful = matrices.filter { $0.outputAxis != axis && $0.usualOutputAxis == axis }
            guard let found = doubtful.first?.outputAxis else { return nil }
            let names = doubtful.count == 1 ? "the name suggests" : "the names suggest"
            return "  Warning: outputs are taken to be the \(found) axis where \(names) the \(axis), see outputsLast: "
                + listed(doubtful.map(\.name))
        }
    }

    private func listed(_ names: [String]) -> String {
        let shown = names.prefix(4).map { $0.cut(to: 80) }.joined(separator: ", ")
        return shown + (names.count > 4 ? ", ... (\(names.count))" : "")
    }

    /// How many kinds of matrices get a line.
    private static let longestRowList = 12
}

/// What is alike about matrices whose rows are the same.
private struct RowKind: Hashable {
    private let outputs: Int
    private let inputs: [Int]
    private let axis: OutputAxis

    init(_ parameter: ParameterDescription) {
        (outputs, axis) = (parameter.rowCount, parameter.outputAxis)
        inputs = Array(axis == .first ? parameter.shape.dropFirst() : parameter.shape.dropLast())
    }

    /// What a row is: "64 outputs of 3 x 7 x 7 inputs (first axis)".
    var text: String {
        let extents = inputs.map(String.init).joined(separator: " x ")
        let (units, features) = (outputs == 1 ? "output" : "outputs", extents == "1" ? "input" : "inputs")
        return "\(outputs) \(units) of \(extents) \(features) (\(axis) axis)"
    }
}

extension ParameterDescription {
    /// Whether it has elements, and more than one dimension to lay them out in.
    fileprivate var isMatrix: Bool { rank > 1 && count > 0 }

    /// Which axis the outputs are where parameters have such names; nil where the name says nothing about it.
    ///
    /// A Flax or Keras kernel has them last. Of the two matrices of a LoRA, which are laid out in one way here and in the
    /// other there, the first makes few numbers of many and the second many of few.
    fileprivate var usualOutputAxis: OutputAxis? {
        let parts = name.split { $0 == "." || $0 == "/" }.map { $0.lowercased() }
        if let part = parts.last, part == "kernel" || part.hasSuffix("_kernel") { return .last }
        guard rank == 2, shape[0] != shape[1] else { return nil }
        let (smaller, larger): (OutputAxis, OutputAxis) = shape[0] < shape[1] ? (.first, .last) : (.last, .first)
        if parts.contains(where: { $0 == "lora_a" || $0 == "loraa" }) { return smaller }
        return parts.contains { $0 == "lora_b" || $0 == "lorab" } ? larger : nil
    }
}
