/// How much of a parameter a stage or an optimizer is handed at once.
public enum StageReach: Sendable, Hashable {
    /// Whole rows, as many as stay in cache.
    case rows
    /// The whole tensor, which a block then is: for what cannot be known of rows alone, such as the largest hundredth of a
    /// tensor's elements, or the singular values of a matrix.
    ///
    /// It costs what memory costs: a tensor that is not in cache is read from memory whenever it is gone over. Tensors are
    /// handed out to threads, one each; or, where `inTurn` is true, one after another on the caller's thread, so that what
    /// the stage calls may use all processors by itself.
    ///
    /// It has to stand behind an accumulation.
    case tensors(inTurn: Bool)

    /// Whether it is whole tensors.
    public var isWholeTensors: Bool { self != .rows }
    /// Whether tensors are handed out one after another.
    var isInTurn: Bool { self == .tensors(inTurn: true) }
}
