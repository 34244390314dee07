import DescentCore

extension TensorSet: CustomStringConvertible {
    /// The tensors with their names, shapes and first numbers, for people; a line for each of the first twenty.
    ///
    ///     2 tensors, 650 elements in float32
    ///     fc.weight [10, 64]: 0.1, -0.3, 0.0, 1.5, …
    ///     fc.bias [10]: 0.0, 0.0, 0.0, 0.0, …
    public var description: String {
        let number = count == 1 ? "1 tensor" : "\(count) tensors"
        let elements = layout.elementCount == 1 ? "1 element" : "\(layout.elementCount) elements"
        var lines = ["\(number), \(elements) in \(elementType)"]
        lines += layout.indices.prefix(Self.describedTensors).map(line)
        if count > Self.describedTensors { lines.append("… and \(count - Self.describedTensors) more") }
        return lines.joined(separator: "\n")
    }

    private static var describedTensors: Int { 20 }
    private static var describedElements: Int { 4 }

    private func line(_ position: Int) -> String {
        let parameter = layout[position]
        let values = firstElements(of: position).map(\.description)
        let rest = parameter.count > values.count ? ["…"] : values.isEmpty ? ["no elements"] : []
        return "\(parameter.name.cut(to: 80)) \(parameter.shape): " + (values + rest).joined(separator: ", ")
    }

    private func firstElements(of position: Int) -> [Float] {
        withExtendedLifetime(self) {
            let bytes = bases[position]
            return (0..<Swift.min(layout[position].count, Self.describedElements)).map { index in
                let offset = index * elementType.byteCount
                switch elementType {
                case .float32: return bytes.load(fromByteOffset: offset, as: Float.self)
                case .int8, .uint8: return Float(bytes.load(fromByteOffset: offset, as: UInt8.self))
                case .float16: return Float(Binary16(bitPattern: bytes.load(fromByteOffset: offset, as: UInt16.self)))
                case .bfloat16: return Float(BFloat16(bitPattern: bytes.load(fromByteOffset: offset, as: UInt16.self)))
                }
            }
        }
    }
}
