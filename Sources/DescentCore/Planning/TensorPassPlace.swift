/// What a pass over whole tensors keeps until its step ends, for explanations.
struct TensorPassPlace {
    /// What its result is called.
    let name: String
    /// Whether it is made of all parameters that take part.
    let isOfAll: Bool
    /// What it keeps, a line each.
    let lines: [String]

    /// Describes a pass.
    ///
    /// - Parameters:
    ///   - station: Who is handed whole tensors.
    ///   - isOfAll: Whether it is handed all parameters that take part.
    ///   - elementCount: How many elements these have.
    ///   - slotBytes: How many bytes the slots take that wait beside those that last.
    init(_ station: String, isOfAll: Bool, elementCount: Int, slotBytes: Int) {
        self.isOfAll = isOfAll
        name = "result of \(station)"
        lines =
            ["  4 B for each of \(elementCount) elements: \(name)"]
            + (slotBytes > 0 ? ["  \(slotBytes) B: what \(station) makes of its slots, until the step is certain"] : [])
    }
}
