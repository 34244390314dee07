/// How processes that train together share the state of a pipeline; made by a module that knows how to reach them.
///
/// `Sharding.optimizerState(over:)` of `DescentDistributed` is one.
public struct Sharding: Sendable, Hashable {
    /// What moves gradients to the processes that work on their rows, and parameters back.
    let exchange: any GradientExchange
    /// What it goes through, the same in all that move over it.
    private let connection: ObjectIdentifier
    private let settings: String

    /// Shares state over an exchange of rows.
    ///
    /// - Parameters:
    ///   - exchange: What moves gradients and parameters; its ``GradientExchange/exchanged`` values are `rows`, or nothing
    ///     with a single process.
    ///   - connection: What it goes through. Shardings are equal that go through the same, with the same settings.
    ///   - settings: What it is set to, in words.
    public init(over exchange: some GradientExchange, through connection: some AnyObject, settings: String) {
        self.exchange = exchange
        self.connection = ObjectIdentifier(connection)
        self.settings = settings
    }

    public static func == (one: Sharding, other: Sharding) -> Bool {
        one.connection == other.connection && one.settings == other.settings
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(connection)
        hasher.combine(settings)
    }
}
