public import DescentErrors

extension JSON {
    /// Encodes a value.
    ///
    /// Floats are written so that decoding gives back every bit (NaN and infinities as the strings "NaN", "Infinity"
    /// and "-Infinity"; a NaN's payload is lost). The members of dictionaries and the elements of sets are sorted, so
    /// that equal values give equal text.
    ///
    /// - Parameters:
    ///   - value: The value.
    ///   - userInfo: What types look up while they are encoded.
    /// - Throws: `DescentError` with code `invalidDocument` if the value refuses to be encoded, or is
    ///   nested more than ``maximumDepth`` deep.
    public init(
        encoding value: some Encodable, userInfo: [CodingUserInfoKey: any Sendable] = [:]
    ) throws(DescentError) {
        let node = EncodingNode(codingPath: [], userInfo: userInfo)
        do {
            try node.encode(value)
        } catch let error as DescentError {
            throw error
        } catch EncodingError.invalidValue(_, let context) {
            let path = JSONPath("", context.codingPath)
            throw DescentError(.invalidDocument, "\(context.debugDescription) \(path.place).")
        } catch {
            throw DescentError(.invalidDocument, "\(type(of: value)) cannot be written as JSON: \(error).")
        }
        self = node.json
    }
}

/// A value whose parts come in an order that changes from run to run.
private protocol Unordered {}
extension Dictionary: Unordered {}
extension Set: Unordered {}

/// A value of the document that is being made, and the encoder that makes it.
private final class EncodingNode: Encoder {
    private enum Content {
        case nothing
        case value(JSON)
        case array([EncodingNode])
        case object(keys: [String], positions: [String: Int], nodes: [EncodingNode])
    }

    let codingPath: [any CodingKey]
    let userInfo: [CodingUserInfoKey: Any]
    private var content = Content.nothing
    private var isUnordered = false

    init(codingPath: [any CodingKey], userInfo: [CodingUserInfoKey: Any]) {
        self.codingPath = codingPath
        self.userInfo = userInfo
    }

    func encode(_ value: some Encodable) throws {
        switch value {
        case let json as JSON: content = .value(json)
        case let primitive as any JSONPrimitive: content = .value(primitive.json)
        default:
            guard codingPath.count < JSON.maximumDepth else {
                throw EncodingError.invalidValue(
                    value,
                    .init(
                        codingPath: codingPath,
                        debugDescription: "Values are nested more than \(JSON.maximumDepth) deep"))
            }
            try value.encode(to: self)
            isUnordered = value is any Unordered
        }
    }

    func encodeNull() { content = .value(.null) }

    /// The finished value; an empty object where nothing was encoded, as for a type without properties.
    var json: JSON {
        switch content {
        case .nothing: return .object(.init())
        case .value(let value): return value
        case .array(let nodes):
            let elements = nodes.map(\.json)
            return .array(isUnordered ? elements.sorted { $0.description < $1.description } : elements)
        case .object(let keys, _, let nodes):
            var object = JSON.Object()
            for (key, node) in zip(keys, nodes).sorted(by: { isUnordered && $0.0 < $1.0 }) { object[key] = node.json }
            return .object(object)
        }
    }

    // MARK: Containers

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        becomeObject()
        return KeyedEncodingContainer(KeyedEncoding(node: self))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        becomeArray()
        return UnkeyedEncoding(node: self)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { SingleValueEncoding(node: self) }

    private func becomeObject() {
        if case .object = content { return }
        guard case .nothing = content else { stopForMisuse("A value was encoded as an object and as another.") }
        content = .object(keys: [], positions: [:], nodes: [])
    }

    private func becomeArray() {
        if case .array = content { return }
        guard case .nothing = content else { stopForMisuse("A value was encoded as an array and as another.") }
        content = .array([])
    }

    /// A new member, which takes the place of an earlier one with the same key.
    func member(_ key: any CodingKey) -> EncodingNode {
        guard case .object(var keys, var positions, var nodes) = content else {
            stopForMisuse("A member was encoded into what is no object.")
        }
        content = .nothing
        let node = EncodingNode(codingPath: codingPath + [key], userInfo: userInfo)
        if let position = positions[key.stringValue] {
            nodes[position] = node
        } else {
            positions[key.stringValue] = keys.count
            keys.append(key.stringValue)
            nodes.append(node)
        }
        content = .object(keys: keys, positions: positions, nodes: nodes)
        return node
    }

    /// A new element, at the end.
    func element() -> EncodingNode {
        guard case .array(var nodes) = content else { stopForMisuse("An element was encoded into no array.") }
        content = .nothing
        let node = EncodingNode(codingPath: codingPath + [JSONKey(intValue: nodes.count)], userInfo: userInfo)
        nodes.append(node)
        content = .array(nodes)
        return node
    }

    var elementCount: Int { if case .array(let nodes) = content { nodes.count } else { 0 } }
}

private struct KeyedEncoding<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let node: EncodingNode
    var codingPath: [any CodingKey] { node.codingPath }

    func encodeNil(forKey key: Key) { node.member(key).encodeNull() }

    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws { try node.member(key).encode(value) }

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type, forKey key: Key
    ) -> KeyedEncodingContainer<NestedKey> { node.member(key).container(keyedBy: type) }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        node.member(key).unkeyedContainer()
    }

    func superEncoder() -> any Encoder { node.member(JSONKey.super) }

    func superEncoder(forKey key: Key) -> any Encoder { node.member(key) }
}

private struct UnkeyedEncoding: UnkeyedEncodingContainer {
    let node: EncodingNode
    var codingPath: [any CodingKey] { node.codingPath }
    var count: Int { node.elementCount }

    func encodeNil() { node.element().encodeNull() }

    func encode<Value: Encodable>(_ value: Value) throws { try node.element().encode(value) }

    func nestedContainer<NestedKey: CodingKey>(keyedBy type: NestedKey.Type) -> KeyedEncodingContainer<NestedKey> {
        node.element().container(keyedBy: type)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { node.element().unkeyedContainer() }

    func superEncoder() -> any Encoder { node.element() }
}

private struct SingleValueEncoding: SingleValueEncodingContainer {
    let node: EncodingNode
    var codingPath: [any CodingKey] { node.codingPath }

    func encodeNil() { node.encodeNull() }

    func encode<Value: Encodable>(_ value: Value) throws { try node.encode(value) }
}
