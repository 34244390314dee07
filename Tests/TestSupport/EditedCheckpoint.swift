import Descent
package import DescentJSON

/// A checkpoint whose document is changed, with checksums that are right again.
package struct EditedCheckpoint {
    package static let key = "descent.checkpoint"
    private let file: SafetensorsFile
    package let document: JSON

    package init(contentsOf path: String) throws {
        file = try SafetensorsFile(contentsOf: path)
        document = try JSON(parsing: file.metadata[Self.key] ?? "")
    }

    /// The file with another document.
    package func bytes(_ document: JSON) throws -> [UInt8] {
        var writer = SafetensorsWriter(metadata: file.metadata)
        writer.metadata["descent.checksums"] = nil
        writer.metadata[Self.key] = document.description
        let file = file
        for entry in file.entries {
            try writer.add(entry.name, entry.type, shape: entry.shape) { body throws(DescentError) in
                try file.withBytes(of: entry, body)
            }
        }
        return try writer.bytes()
    }
}

extension JSON {
    /// The value with another one at a path such as "components/0/state/received"; nil takes a member away.
    package func replacing(_ path: String, with value: JSON?) -> JSON {
        replacing(path.split(separator: "/").map(String.init)[...], with: value)
    }

    package func replacing(_ path: ArraySlice<String>, with value: JSON?) -> JSON {
        guard let key = path.first else { return value ?? .null }
        let rest = path.dropFirst()
        if var elements = array, let position = Int(key) {
            if rest.isEmpty, value == nil {
                elements.remove(at: position)
            } else {
                elements[position] = elements[position].replacing(rest, with: value)
            }
            return .array(elements)
        }
        guard var members = object else { return self }
        members[key] = rest.isEmpty ? value : members[key]?.replacing(rest, with: value)
        return .object(members)
    }

    /// The paths of all values that have none inside them.
    package var leaves: [[String]] {
        let parts: [(String, JSON)] =
            object.map { $0.map { ($0.key, $0.value) } } ?? (array ?? []).enumerated().map { ("\($0)", $1) }
        guard !parts.isEmpty else { return [[]] }
        return parts.flatMap { key, value in value.leaves.map { [key] + $0 } }
    }
}
