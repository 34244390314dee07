import DescentCore
import DescentJSON

/// Parameters, of which there may be a hundred thousand, are written and read without a tree of values.
extension CheckpointRecord {
    /// Everything but the parameters.
    struct Outline: Decodable {
        let counters: StepCounters
        let components: [Component]
        let metricStates: [String: MetricState]?

        private enum CodingKeys: String, CodingKey { case components, metricStates }

        init(from decoder: any Decoder) throws {
            counters = try StepCounters(from: decoder)
            let members = try decoder.container(keyedBy: CodingKeys.self)
            components = try members.decode([Component].self, forKey: .components)
            metricStates = try members.decodeIfPresent([String: MetricState].self, forKey: .metricStates)
        }
    }

    // MARK: Writing

    /// The record as JSON.
    func text() throws(DescentError) -> String {
        var bytes: [UInt8] = []
        bytes.append(ascii: "{\"formatVersion\":")
        bytes.append(json: Self.formatVersion)
        for (name, count) in try JSON(encoding: counters).object ?? JSON.Object() {
            bytes.append(ascii: ",")
            bytes.append(json: name)
            bytes.append(ascii: ":")
            bytes.append(contentsOf: count.description.utf8)
        }
        bytes.append(ascii: ",\"parameters\":[")
        for (position, parameter) in parameters.enumerated() {
            if position > 0 { bytes.append(ascii: ",") }
            parameter.write(to: &bytes)
        }
        bytes.append(ascii: "],\"components\":")
        bytes.append(contentsOf: try JSON(encoding: components).description.utf8)
        if !metricStates.isEmpty {
            bytes.append(ascii: ",\"metricStates\":")
            bytes.append(contentsOf: try JSON(encoding: metricStates).description.utf8)
        }
        bytes.append(ascii: "}")
        return String(decoding: bytes, as: UTF8.self)
    }

    // MARK: Reading

    static func read(_ bytes: UnsafeRawBufferPointer) throws(DescentError) -> (Outline, [Parameter]) {
        var rest = JSON.Object()
        var parameters: [Parameter]?
        var reader = JSONReader(bytes)
        try reader.readObject { reader, key throws(DescentError) in
            guard key == "parameters" else {
                rest[key] = try JSON(reading: &reader)
                return
            }
            // Another version, which is written first, may have anything here.
            guard version(rest) == formatVersion else { return try reader.skipValue() }
            var read: [Parameter] = []
            try reader.readArray { reader throws(DescentError) in
                read.append(try Parameter(&reader, at: read.count))
            }
            parameters = read
        }
        try reader.readEnd()
        guard let version = version(rest) else {
            throw DescentError(.invalidFile, "its state does not say in which version of the format it is.")
        }
        guard version == formatVersion else {
            throw DescentError(
                .unsupportedVersion,
                "it has version \(version) of the format, and this version of Descent reads version "
                    + "\(formatVersion). Resume with the version of Descent that wrote it, or a later one.")
        }
        let outline = try JSON.object(rest).decode(Outline.self)
        guard let parameters else { throw DescentError(.invalidFile, "its state tells of no parameters.") }
        return (outline, parameters)
    }

    private static func version(_ object: JSON.Object) -> Int? {
        guard case .number(let number)? = object["formatVersion"] else { return nil }
        return number.integer(Int.self)
    }
}

extension CheckpointRecord.Parameter {
    /// As many dimensions as PyTorch and NumPy allow.
    private static let maximumRank = 64

    fileprivate func write(to bytes: inout [UInt8]) {
        bytes.append(ascii: "{\"name\":")
        bytes.append(json: name)
        bytes.append(ascii: ",\"shape\":")
        bytes.append(json: shape)
        bytes.append(ascii: ",\"outputAxis\":")
        bytes.append(json: outputAxis.rawValue)
        if let bounds {
            bytes.append(ascii: ",\"bounds\":")
            bytes.append(json: bounds)
        }
        bytes.append(ascii: "}")
    }

    fileprivate init(_ reader: inout JSONReader, at position: Int) throws(DescentError) {
        var name: String?
        var shape: [Int]?
        var axis: String?
        var bounds: [Int]?
        try reader.readObject { reader, key throws(DescentError) in
            switch key {
            case "name": name = try reader.readString()
            case "shape":
                shape = try Self.readNumbers(&reader) { $0 <= Self.maximumRank }
                guard shape != nil else {
                    throw Self.invalid(position, "its shape is not one of up to \(Self.maximumRank) whole numbers")
                }
            case "bounds":
                bounds = try Self.readNumbers(&reader) { _ in true }
                guard bounds != nil else { throw Self.invalid(position, "its bounds are not whole numbers") }
            case "outputAxis": axis = try reader.readString()
            default: try reader.skipValue()
            }
        }
        guard let name, let shape, let axis else {
            throw Self.invalid(position, "it lacks one of name, shape and outputAxis")
        }
        guard let outputAxis = OutputAxis(rawValue: axis) else {
            throw Self.invalid(position, "\(axis.quotedBriefly) is no outputAxis")
        }
        if let bounds {
            let ascend = zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }
            guard outputAxis == .first, bounds.count > 1, ascend, bounds.first == 0, bounds.last == shape.first else {
                throw Self.invalid(
                    position, "its bounds do not ascend from 0 to its number of rows: parts overlap, or leave rows out")
            }
        }
        self.init(name: name, shape: shape, outputAxis: outputAxis, bounds: bounds)
    }

    /// Reads a list of whole numbers; nil if one is none, or if there are more than a limit lets through.
    private static func readNumbers(
        _ reader: inout JSONReader, isAllowed: (_ count: Int) -> Bool
    ) throws(DescentError) -> [Int]? {
        var numbers: [Int]? = []
        try reader.readArray { reader throws(DescentError) in
            let number = try reader.readNumber().integer(Int.self)
            if let number, let count = numbers?.count, isAllowed(count + 1) {
                numbers?.append(number)
            } else {
                numbers = nil
            }
        }
        return numbers
    }

    private static func invalid(_ position: Int, _ message: String) -> DescentError {
        DescentError(.invalidFile, "what it says of parameter \(position) is not valid: \(message).")
    }
}
