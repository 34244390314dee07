// Layouts made of names and shapes, as hosts have them.

extension ParameterLayout {
    /// Makes a layout of names and shapes, in the order in which they are given.
    ///
    /// ```swift
    /// let layout = try ParameterLayout(shapes: [("fc.weight", [10, 64]), ("fc.bias", [10])])
    /// ```
    /// - Parameters:
    ///   - shapes: The name of each parameter, not empty, and its extents.
    ///   - outputsLast: The parameters whose outputs are the last dimension; nil for none. `.named(suffix: "lora_b")`
    ///     chooses by the ends of names, `.all` all, as in Flax; of no consequence below rank 2. A selection by parts of names
    ///     has to find each of them.
    /// - Throws: ``DescentError`` with code `invalidName` or `invalidShape`; with `duplicateParameter` when two parameters
    ///   share a name; with `invalidSetting` when `outputsLast` names what is not there.
    /// - Complexity: O(n) in the number of parameters.
    public init(
        shapes: some Sequence<(String, [Int])>, outputsLast: ParameterSelection? = nil
    ) throws(DescentError) {
        var parameters: [ParameterDescription] = []
        for (name, shape) in shapes {
            let parameter = try ParameterDescription(name, shape: shape)
            let isLast = outputsLast?.contains(parameter) ?? false
            parameters.append(
                isLast ? try ParameterDescription(name, shape: shape, outputAxis: .last) : parameter)
        }
        try self.init(parameters)
        if let outputsLast, outputsLast.isByNames { try outputsLast.requireMatch(in: self, of: "outputsLast") }
    }

    /// Makes a layout of a dictionary of shapes, sorted by name.
    ///
    /// Names are compared part by part, from dot to dot, and numbers in them by their size: `layers.9.weight` comes before
    /// `layers.10.weight`. The order is the same in every run.
    ///
    /// - Parameters:
    ///   - shapes: For each name, not empty, the extents of the parameter.
    ///   - outputsLast: The parameters whose outputs are the last dimension; nil for none. A selection by parts
    ///     of names has to find each of them.
    /// - Throws: ``DescentError`` with code `invalidName`, `invalidShape` or `invalidSetting`.
    /// - Complexity: O(n log n) in the number of parameters.
    public init(shapes: [String: [Int]], outputsLast: ParameterSelection? = nil) throws(DescentError) {
        let sorted = shapes.sorted { NameOrder.precedes($0.key, $1.key) }
        try self.init(shapes: sorted.lazy.map { ($0.key, $0.value) }, outputsLast: outputsLast)
    }

    /// Makes a layout of nested shapes, sorted by name; see ``NestedShapes/flattened()``.
    ///
    /// ```swift
    /// let layout = try ParameterLayout(shapes: ["fc": ["weight": [10, 64], "bias": [10]]])  // fc.bias, fc.weight
    /// ```
    /// - Parameters:
    ///   - shapes: The shapes, by the keys on the way to them.
    ///   - outputsLast: The parameters whose outputs are the last dimension; nil for none. A selection by parts
    ///     of names has to find each of them.
    /// - Throws: ``DescentError`` with code `invalidName`, also where a key is empty, `invalidShape` or `invalidSetting`; with
    ///   `duplicateParameter` where two ways make one name, as `["a": ["b": []], "a.b": []]` do.
    /// - Complexity: O(n log n) in the number of parameters.
    public init(shapes: NestedShapes, outputsLast: ParameterSelection? = nil) throws(DescentError) {
        let parameters = try shapes.flattened()
        try self.init(shapes: parameters.lazy.map { ($0.name, $0.shape) }, outputsLast: outputsLast)
    }
}
