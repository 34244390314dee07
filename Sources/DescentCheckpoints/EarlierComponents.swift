import DescentCore
import DescentJSON

extension PipelineState.Component {
    /// The components that this one is by now, in files of before averages, lookahead and trust ratios stood behind
    /// optimizers.
    ///
    /// `Lookahead<AdamW>` with the slots of both is an `AdamW`, and a `Lookahead` with the last of them.
    ///
    /// - Parameter next: The kind of the component that follows in the file; nil if none does.
    /// - Returns: The components, with the state of the first of them.
    func today(before next: String?) -> [PipelineState.Component] {
        for wrapper in ["ExponentialMovingAverage", "Lookahead"]
        where kind.hasPrefix("\(wrapper)<") && kind.hasSuffix(">") {
            let base = PipelineState.Component(
                kind: String(kind.dropFirst(wrapper.count + 1).dropLast()), name: name, state: state,
                slots: slots.dropLast())
            return base.today(before: nil) + [.stateless(wrapper, slots: slots.suffix(1))]
        }
        return kind == "LAMB" && next != "TrustRatio" ? [self, .stateless("TrustRatio", slots: [])] : [self]
    }

    private static func stateless(_ kind: String, slots: [SavedSlot<Tensors>]) -> PipelineState.Component {
        PipelineState.Component(kind: kind, name: kind, state: NoState(), slots: slots)
    }
}

/// The state of a stage that remembers nothing.
private struct NoState: ComponentState {
    func value<State: Codable & Sendable>(as type: State.Type) throws -> State { try JSON.object(.init()).decode(type) }

    func encode(to encoder: any Encoder) throws { try Stateless().encode(to: encoder) }
}
