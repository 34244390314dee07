public import DescentErrors

extension JSON {
    /// Decodes a value.
    ///
    /// - Parameters:
    ///   - type: What to decode.
    ///   - refusingUnknownKeys: Whether a member that the type never asked for is an error, with the nearest one that
    ///     it did ask for: `unknown setting "maximumnorm" at stages[2]; did you mean "maximumNorm"?`
    ///   - alsoKnown: Members that belong to the value, but were taken out before: they are named where one is near.
    ///   - place: Where in a larger document this value is, for messages: "stages[2]".
    ///   - userInfo: What types look up while they are decoded.
    /// - Returns: The value.
    /// - Throws: `DescentError` with code `invalidDocument` or `unknownSetting` and the path in the
    ///   document. An error that the type itself throws keeps its code, stage and parameter.
    public func decode<Value: Decodable>(
        _ type: Value.Type = Value.self, refusingUnknownKeys: Bool = false, alsoKnown: [String] = [],
        at place: String = "", userInfo: [CodingUserInfoKey: any Sendable] = [:]
    ) throws(DescentError) -> Value {
        let usage = refusingUnknownKeys ? KeyUsage(alsoKnown: alsoKnown) : nil
        // A type without settings asks for none.
        if object != nil { usage?.note([], of: []) }
        let value: Value
        do {
            value = try DecodingNode(json: self, codingPath: [], userInfo: userInfo, usage: usage).decode()
        } catch let error as DecodingError {
            try usage?.requireNoMisspelling(of: error, in: self, at: place)
            throw DescentError(error, in: self, at: place)
        } catch {
            throw DescentError(.invalidDocument, "\(error) \(JSONPath(place).place).")
        }
        try usage?.requireAllAsked(self, []) { JSONPath(place, $0) }
        return value
    }
}

extension DescentError {
    /// What was wrong, with the path; an error of a type's own that was met on the way keeps what it says.
    fileprivate init(_ error: DecodingError, in document: JSON, at place: String) {
        let context: DecodingError.Context
        switch error {
        case .keyNotFound(let key, let found):
            let path = JSONPath(place, found.codingPath)
            let name = key.stringValue
            let nearest = name.nearest(among: document.value(at: found.codingPath)?.object?.keys ?? [])
            self.init(
                .invalidDocument,
                "missing setting \(name.quotedBriefly) \(path.place)"
                    + (nearest.map { "; there is \($0.quotedBriefly)" } ?? "") + ".")
            return
        case .typeMismatch(_, let found), .valueNotFound(_, let found), .dataCorrupted(let found): context = found
        @unknown default: context = .init(codingPath: [], debugDescription: "\(error)")
        }
        let path = JSONPath(place, context.codingPath)
        if let cause = context.underlyingError as? DescentError {
            let prefix = path.text.isEmpty ? "" : "\(path.text): "
            self.init(cause.code, parameter: cause.parameter, stage: cause.stage, prefix + cause.message)
        } else {
            self.init(.invalidDocument, "\(context.debugDescription.cut(to: 400)) \(path.place).")
        }
    }
}

extension JSON {
    fileprivate func value(at path: [any CodingKey]) -> JSON? {
        path.reduce(self as JSON?) { value, key in key.intValue.map { value?[$0] } ?? value?[key.stringValue] }
    }
}

/// Which members of the objects of a document were asked for.
private final class KeyUsage {
    private var asked: [JSONPath: Set<String>] = [:]
    private let alsoKnown: [String]

    init(alsoKnown: [String]) { self.alsoKnown = alsoKnown }

    /// Notes that the members of an object are being asked for, and that some were.
    func note(_ keys: some Sequence<String>, of codingPath: [any CodingKey]) {
        asked[JSONPath("", codingPath), default: []].formUnion(keys)
    }

    func requireAllAsked(
        _ json: JSON, _ codingPath: [any CodingKey], path: ([any CodingKey]) -> JSONPath
    ) throws(DescentError) {
        if let object = json.object {
            let known = asked[JSONPath("", codingPath)]
            for (key, value) in object {
                if let known, !known.contains(key) {
                    throw unknown(
                        key, nearest: nearest(to: key, in: object, codingPath, known), path(codingPath), known)
                }
                try requireAllAsked(value, codingPath + [JSONKey(stringValue: key)], path: path)
            }
        }
        for (index, element) in (json.array ?? []).enumerated() {
            try requireAllAsked(element, codingPath + [JSONKey(intValue: index)], path: path)
        }
    }
}

extension KeyUsage {
    /// Refuses a member with a name near to one that was asked for, where another was missed: what is misspelled is more
    /// often the reason than what is missing.
    func requireNoMisspelling(
        of error: DecodingError, in document: JSON, at place: String
    ) throws(DescentError) {
        guard case .keyNotFound(let missing, let context) = error,
            let object = document.value(at: context.codingPath)?.object,
            let known = asked[JSONPath("", context.codingPath)]
        else { return }
        // What is near to the missing name itself is told with it.
        guard missing.stringValue.nearest(among: object.keys) == nil else { return }
        for key in object.keys where !known.contains(key) {
            guard let nearest = nearest(to: key, in: object, context.codingPath, known) else { continue }
            throw unknown(key, nearest: nearest, JSONPath(place, context.codingPath), known)
        }
    }

    /// The name that a member may have been meant to have: one that is missing, if one of them is near.
    private func nearest(
        to key: String, in object: JSON.Object, _ codingPath: [any CodingKey], _ known: Set<String>
    ) -> String? {
        let known = known.sorted() + (codingPath.isEmpty ? alsoKnown : [])
        return key.nearest(among: known.filter { object[$0] == nil }) ?? key.nearest(among: known)
    }

    private func unknown(_ key: String, nearest: String?, _ path: JSONPath, _ known: Set<String>) -> DescentError {
        let hint =
            nearest.map { "did you mean \($0.quotedBriefly)?" }
            ?? (known.isEmpty ? "there are no settings." : "known are \(known.sorted().joined(separator: ", ")).")
        return DescentError(.unknownSetting, "unknown setting \(key.quotedBriefly) \(path.place); \(hint)")
    }
}

/// A value of a document, and the decoder that reads it.
struct DecodingNode: Decoder {
    let json: JSON
    let codingPath: [any CodingKey]
    let userInfo: [CodingUserInfoKey: Any]
    fileprivate let usage: KeyUsage?

    func decode<Value: Decodable>() throws -> Value {
        if let json = json as? Value { return json }
        if let primitive = Value.self as? any JSONPrimitive.Type {
            guard let value = primitive.init(json: json) as? Value else { throw mismatch(primitive.expectation) }
            return value
        }
        do {
            return try Value(from: self)
        } catch DecodingError.dataCorrupted where json.string != nil && !cases(of: Value.self).isEmpty {
            throw mismatch(cases(of: Value.self))
        } catch let error as DescentError {
            throw DecodingError.dataCorrupted(
                .init(codingPath: codingPath, debugDescription: error.message, underlyingError: error))
        }
    }

    /// An error that says what is expected here, and what is here instead.
    func mismatch(_ expectation: String) -> DecodingError {
        .dataCorrupted(.init(codingPath: codingPath, debugDescription: "expected \(expectation), found \(json.kind),"))
    }

    /// An error that lists the names that are possible here, with the one that is nearest to what is here.
    private func mismatch(_ cases: [String]) -> DecodingError {
        let hint = json.string?.nearest(among: cases).map { " (did you mean \($0.quotedBriefly)?)" } ?? ""
        return mismatch("one of " + cases.map(\.quotedBriefly).joined(separator: ", ") + hint)
    }

    /// The names that a type of names stands for; none for any other type.
    private func cases(of type: Any.Type) -> [String] {
        func names<Named: CaseIterable & RawRepresentable>(_ type: Named.Type) -> [String] {
            type.allCases.compactMap { $0.rawValue as? String }
        }
        return (type as? any (CaseIterable & RawRepresentable).Type).map { names($0) } ?? []
    }

    fileprivate func child(_ json: JSON, _ key: any CodingKey) -> DecodingNode {
        DecodingNode(json: json, codingPath: codingPath + [key], userInfo: userInfo, usage: usage)
    }

    // MARK: Containers

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard let object = json.object else { throw mismatch("an object") }
        usage?.note([], of: codingPath)
        return KeyedDecodingContainer(KeyedDecoding(node: self, object: object))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard let elements = json.array else { throw mismatch("an array") }
        return UnkeyedDecoding(node: self, elements: elements)
    }

    func singleValueContainer() -> any SingleValueDecodingContainer { SingleValueDecoding(node: self) }
}

private struct KeyedDecoding<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let node: DecodingNode
    let object: JSON.Object
    var codingPath: [any CodingKey] { node.codingPath }

    var allKeys: [Key] {
        node.usage?.note(object.keys, of: codingPath)
        return object.keys.compactMap { Key(stringValue: $0) }
    }

    func contains(_ key: Key) -> Bool { value(key) != nil }

    func decodeNil(forKey key: Key) throws -> Bool { try member(key).json == .null }

    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value { try member(key).decode() }

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<NestedKey> { try member(key).container(keyedBy: type) }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try member(key).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder { node.child(value(JSONKey.super) ?? .null, JSONKey.super) }

    func superDecoder(forKey key: Key) throws -> any Decoder { try member(key) }

    private func value(_ key: any CodingKey) -> JSON? {
        node.usage?.note([key.stringValue], of: codingPath)
        return object[key.stringValue]
    }

    private func member(_ key: Key) throws -> DecodingNode {
        guard let value = value(key) else {
            throw DecodingError.keyNotFound(
                key, .init(codingPath: codingPath, debugDescription: "missing \(key.stringValue)"))
        }
        return node.child(value, key.intValue == nil ? key : JSONKey(stringValue: key.stringValue))
    }
}

private struct UnkeyedDecoding: UnkeyedDecodingContainer {
    let node: DecodingNode
    let elements: [JSON]
    private(set) var currentIndex = 0
    var codingPath: [any CodingKey] { node.codingPath }
    var count: Int? { elements.count }
    var isAtEnd: Bool { currentIndex >= elements.count }

    init(node: DecodingNode, elements: [JSON]) {
        self.node = node
        self.elements = elements
    }

    mutating func decodeNil() throws -> Bool {
        guard try next().json == .null else { return false }
        currentIndex += 1
        return true
    }

    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        let value: Value = try next().decode()
        currentIndex += 1
        return value
    }

    mutating func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type
    ) throws -> KeyedDecodingContainer<NestedKey> {
        let container = try next().container(keyedBy: type)
        currentIndex += 1
        return container
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        let container = try next().unkeyedContainer()
        currentIndex += 1
        return container
    }

    mutating func superDecoder() throws -> any Decoder {
        let decoder = try next()
        currentIndex += 1
        return decoder
    }

    private func next() throws -> DecodingNode {
        guard !isAtEnd else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: codingPath, debugDescription: "expected more than \(elements.count) elements"))
        }
        return node.child(elements[currentIndex], JSONKey(intValue: currentIndex))
    }
}

private struct SingleValueDecoding: SingleValueDecodingContainer {
    let node: DecodingNode
    var codingPath: [any CodingKey] { node.codingPath }

    func decodeNil() -> Bool { node.json == .null }

    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try node.decode() }
}
