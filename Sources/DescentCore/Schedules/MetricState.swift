/// What a schedule remembers of the metrics that it has been told.
public struct MetricState: Codable, Sendable, Hashable {
    /// What it remembers itself.
    public var numbers: [Double]
    /// What the schedules remember that it is made of, in their order.
    public var parts: [MetricState]

    /// Makes a state; by default that of a schedule which remembers nothing.
    public init(numbers: [Double] = [], parts: [MetricState] = []) {
        self.numbers = numbers
        self.parts = parts
    }
}
