/// The state of a stage or optimizer, as a value or as it was written down.
public protocol ComponentState: Encodable, Sendable {
    /// The state as the type that it has in the component.
    ///
    /// - Throws: Any error if it cannot be that.
    func value<State: Codable & Sendable>(as type: State.Type) throws -> State
}

/// State in memory.
package struct LiveState<Value: Codable & Sendable>: ComponentState {
    /// The value.
    public let value: Value

    /// Keeps a value as a state.
    public init(value: Value) { self.value = value }

    public func value<State: Codable & Sendable>(as type: State.Type) throws -> State {
        guard let state = value as? State else {
            throw DescentError(.stateMismatch, "a state of type \(Value.self) is not one of type \(type).")
        }
        return state
    }

    public func encode(to encoder: any Encoder) throws { try value.encode(to: encoder) }
}
