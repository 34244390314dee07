/// A part of a document may be kept as it is: `let settings: JSON`.
extension JSON: Codable {
    /// Takes over the value, where ``JSON/decode(_:refusingUnknownKeys:at:)`` decodes.
    ///
    /// - Throws: `DecodingError` with another decoder, which would not hand over the text of numbers.
    public init(from decoder: any Decoder) throws {
        guard let node = decoder as? DecodingNode else {
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: decoder.codingPath,
                    debugDescription: "a value of type JSON is decoded by JSON.decode alone"))
        }
        self = node.json
    }

    /// Hands the value over, where ``JSON/init(encoding:)`` encodes.
    ///
    /// - Throws: `EncodingError` with another encoder, which would not keep the text of numbers.
    public func encode(to encoder: any Encoder) throws {
        throw EncodingError.invalidValue(
            self,
            .init(
                codingPath: encoder.codingPath,
                debugDescription: "a value of type JSON is encoded by JSON(encoding:) alone"))
    }
}
