import DescentCore
import Foundation

/// How a stage's state is written down and read back.
enum SavedState {
    static func encode(_ state: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        return try encoder.encode(state)
    }

    static func decode<State: Decodable>(_ type: State.Type, from data: Data) throws -> State {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        return try decoder.decode(type, from: data)
    }
}

extension PipelineState {
    /// The same with the state of each component as it comes back from having been written down.
    func writtenDown() throws -> PipelineState {
        PipelineState(
            counters: counters, layout: layout,
            components: try components.map { component in
                Component(
                    kind: component.kind, name: component.name,
                    state: WrittenState(data: try SavedState.encode(component.state)), slots: component.slots)
            })
    }
}

/// State as it is in a file.
private struct WrittenState: ComponentState {
    let data: Data

    func value<State: Codable & Sendable>(as type: State.Type) throws -> State {
        try SavedState.decode(type, from: data)
    }

    func encode(to encoder: any Encoder) throws { try data.encode(to: encoder) }
}
