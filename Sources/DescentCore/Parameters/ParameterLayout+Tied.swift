extension ParameterLayout {
    /// The layout with some parameters declared to be one: weights that two parts of a model share.
    ///
    /// ```swift
    /// let layout = try ParameterLayout(shapes: shapes).tying(["head.weight": "embedding.weight"])
    /// ```
    /// The other name is not a parameter of its own, and is taken out of the list if it is there. Where a host hands over
    /// gradients under both names they are added up, which is the gradient of what they share, unless both are the same memory
    /// and so one gradient; the parameter is updated once.
    ///
    /// - Parameter names: For each other name, the name of the parameter that it is another name of.
    /// - Returns: The layout.
    /// - Throws: ``DescentError`` with code `unexpectedParameter` for a parameter that is not there or is itself tied to
    ///   another, and `shapeMismatch` for two of different shapes.
    /// - Complexity: O(n) in the number of parameters.
    public func tying(_ names: [String: String]) throws(DescentError) -> ParameterLayout {
        let tied = self.tied.merging(names) { _, new in new }
        for (other, name) in tied.sorted(by: { $0.key < $1.key }) {
            guard let index = index(named: name), tied[name] == nil else {
                throw DescentError(
                    .unexpectedParameter, parameter: name,
                    "\(other.quotedBriefly) cannot be tied to \(name.quotedBriefly), which is "
                        + (tied[name] == nil
                            ? "not in the layout\(name.hint(among: lazy.map(\.name)))"
                            : "tied to another itself. Name the parameter that all of them are."))
            }
            guard let duplicate = self.index(named: other), self[duplicate].shape != self[index].shape else { continue }
            throw DescentError(
                .shapeMismatch, parameter: other,
                "\(other.quotedBriefly) has the shape \(self[duplicate].shape) and cannot be tied to "
                    + "\(name.quotedBriefly), which has \(self[index].shape).")
        }
        return try ParameterLayout(filter { tied[$0.name] == nil }, tied: tied)
    }
}
