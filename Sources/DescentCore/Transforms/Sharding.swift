/// A stage that stands for the other processes where each holds whole rows of the parameters and none holds all.
///
/// Whatever the engine measures of a parameter, it then combines over processes, in their order, before any stage sees
/// it: norms are those of the whole parameter, on every process, and so is what stages decide from them. All processes
/// have to run the same chain over parameters of the same names.
public protocol Sharding: GradientTransform {
    /// Gives the numbers of all processes, in an order that is the same on each.
    ///
    /// Every process calls it equally often, with as many numbers.
    func gather(_ values: [Double]) -> [[Double]]
}
