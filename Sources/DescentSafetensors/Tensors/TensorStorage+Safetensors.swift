public import DescentCore

extension TensorStorage {
    /// Saves the tensors to a safetensors file; a file that is already there is replaced all at once, or not at all.
    ///
    /// ```swift
    /// try gradients.save(to: "gradients.safetensors", metadata: ["step": "12"])
    /// ```
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - metadata: Text to save with them.
    ///   - limit: How long to wait for another writer to the same file.
    /// - Throws: `DescentError` with code `fileAccess`, the path and the operating system's reason.
    public func save(
        to path: String, metadata: [String: String] = [:], waitingAtMost limit: Duration = .seconds(60)
    ) throws(DescentError) {
        var writer = SafetensorsWriter(metadata: metadata)
        try writer.add(self)
        try writer.write(to: path, waitingAtMost: limit)
    }

    /// Loads all tensors of the layout from a safetensors file, or from those that an index names.
    ///
    /// - Throws: `DescentError`, as ``load(from:prefix:ignoringOthers:)`` does, or if the file cannot be
    ///   opened. No element has changed then.
    public mutating func load(contentsOf path: String) throws(DescentError) {
        try load(from: SafetensorsFile(contentsOf: path))
    }

    /// Loads all tensors of the layout from an open safetensors file.
    ///
    /// The file's elements have to be stored as the tensors' are; float16 and bfloat16 are widened to float32. Until all
    /// are loaded, both the old and the new elements are in memory.
    ///
    /// - Parameters:
    ///   - file: The file, with the tensors in any order.
    ///   - prefix: What comes before the layout's names in those of the file; what has no such prefix is left alone.
    ///   - ignoringOthers: Whether the file may hold more than the layout.
    /// - Throws: `DescentError` that names the tensor that is missing, too many, of another shape or of
    ///   another element type, or damaged. No element has changed then.
    public mutating func load(
        from file: SafetensorsFile, prefix: String = "", ignoringOthers: Bool = false
    ) throws(DescentError) {
        let entries = try file.entries(for: layout, stored: elementType, prefix: prefix, ignoringOthers: ignoringOthers)
        var loaded = self
        try loaded.read(entries, of: file)
        self = loaded
    }

    fileprivate mutating func read(_ entries: [SafetensorsEntry], of file: SafetensorsFile) throws(DescentError) {
        let (layout, elementType) = (layout, elementType)
        for (position, entry) in entries.enumerated() {
            try withMutableBytes(of: position) { bytes throws(DescentError) in
                try file.read(entry, elements: 0..<layout[position].count, as: elementType, into: bytes)
            }
        }
    }
}

extension TensorBackend {
    /// Makes tensors with the contents of a safetensors file, in its order.
    ///
    /// Their element type is that of the file; float32 if it has tensors of several types.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - outputAxis: Which dimension is the output unit.
    /// - Returns: The tensors.
    /// - Throws: `DescentError` with code `fileAccess` or `invalidFile` for what is no safetensors file,
    ///   and `elementTypeMismatch` for elements that are neither float32, float16 nor bfloat16.
    public func tensors(
        contentsOf path: String, outputAxis: OutputAxis = .first
    ) throws(DescentError) -> Tensors {
        let file = try SafetensorsFile(contentsOf: path)
        let types = Set(file.entries.map(\.type))
        return try self.tensors(
            ParameterLayout(file, outputAxis: outputAxis),
            types.count == 1 ? types.first?.floatType ?? .float32 : .float32, from: file, prefix: "")
    }

    /// Makes tensors of a layout with the contents of those in a file, if all are there and fit.
    private func tensors(
        _ layout: ParameterLayout, _ elementType: ElementType, from file: SafetensorsFile, prefix: String
    ) throws(DescentError) -> Tensors {
        let entries = try file.entries(for: layout, stored: elementType, prefix: prefix, ignoringOthers: false)
        var tensors = makeTensors(layout, elementType)
        try tensors.read(entries, of: file)
        return tensors
    }
}

extension ParameterLayout {
    /// The names and shapes of the tensors in a file, in the order of their data.
    ///
    /// - Parameters:
    ///   - file: The file.
    ///   - outputAxis: Which dimension is the output unit.
    /// - Throws: `DescentError` with code `invalidName` for an empty name, or `invalidShape`.
    public init(_ file: SafetensorsFile, outputAxis: OutputAxis = .first) throws(DescentError) {
        var parameters: [ParameterDescription] = []
        for entry in file.entries {
            parameters.append(try ParameterDescription(entry.name, shape: entry.shape, outputAxis: outputAxis))
        }
        try self.init(parameters)
    }
}

extension SafetensorsFile {
    /// The entries of a layout's parameters, in its order, if all of them are there, fit and are of a type that fits.
    fileprivate func entries(
        for layout: ParameterLayout, stored elementType: ElementType, prefix: String, ignoringOthers: Bool
    ) throws(DescentError) -> [SafetensorsEntry] {
        var found: [SafetensorsEntry] = []
        for parameter in layout {
            found.append(try entry(prefix + parameter.name, shape: parameter.shape, stored: elementType))
        }
        if !ignoringOthers {
            try refuseOthers(than: Set(found.map(\.name))) { $0.hasPrefix(prefix) }
        }
        return found
    }

    /// The entry of a tensor, if it is there, fits and is of a type that fits.
    ///
    /// - Throws: `DescentError` that names the tensor.
    package func entry(
        _ name: String, shape: [Int], stored elementType: ElementType
    ) throws(DescentError) -> SafetensorsEntry {
        guard let entry = self[name] else {
            throw DescentError(
                .missingParameter, parameter: name,
                "\"\(path)\" has no tensor named \(name.quotedBriefly) (shape \(shape)).")
        }
        guard entry.shape == shape else {
            throw DescentError(
                .shapeMismatch, parameter: name,
                "\"\(path)\" has \(name.quotedBriefly) with shape \(entry.shape); it is to be \(shape).")
        }
        let fits = entry.type.elementType == elementType || (elementType == .float32 && entry.type.byteCount > 1)
        guard entry.type.elementType != nil, fits else {
            throw DescentError(
                .elementTypeMismatch, parameter: name,
                "\"\(path)\" has \(name.quotedBriefly) stored as \(entry.type.rawValue), which cannot be loaded as "
                    + "\(elementType) without loss; save it as \(SafetensorsType(elementType).rawValue).")
        }
        return entry
    }

    /// Refuses tensors that are not among those expected.
    ///
    /// - Throws: `DescentError` with code `unexpectedParameter`.
    package func refuseOthers(than expected: Set<String>, where isOurs: (String) -> Bool) throws(DescentError) {
        for entry in entries where !expected.contains(entry.name) && isOurs(entry.name) {
            throw DescentError(
                .unexpectedParameter, parameter: entry.name,
                "\"\(path)\" has a tensor \(entry.name.quotedBriefly) (shape \(entry.shape)), which nothing is to be loaded "
                    + "from.")
        }
    }

    /// Reads a run of a tensor's elements, stored as they are or widened from 16 bits to floats, which can store all of them.
    ///
    /// - Parameters:
    ///   - entry: One of ``entries``, of a type that ``entry(_:shape:stored:)`` lets through.
    ///   - run: Which of its elements.
    ///   - elementType: How they are to be stored.
    ///   - bytes: Where to; as many bytes as they take then.
    /// - Throws: `DescentError`, as ``read(_:into:)`` does.
    package func read(
        _ entry: SafetensorsEntry, elements run: Range<Int>, as elementType: ElementType,
        into bytes: UnsafeMutableRawBufferPointer
    ) throws(DescentError) {
        let stored = entry.type.byteCount
        let part = run.lowerBound * stored..<run.upperBound * stored
        guard entry.type.elementType != elementType else { return try read(entry, bytes: part, into: bytes) }
        let patterns = UnsafeMutableBufferPointer<UInt16>.allocate(capacity: run.count)
        defer { patterns.deallocate() }
        try read(entry, bytes: part, into: UnsafeMutableRawBufferPointer(patterns))
        let floats = bytes.bindMemory(to: Float.self)
        if entry.type == .float16 {
            for (index, pattern) in patterns.enumerated() { floats[index] = Float(Binary16(bitPattern: pattern)) }
        } else {
            for (index, pattern) in patterns.enumerated() { floats[index] = Float(BFloat16(bitPattern: pattern)) }
        }
    }
}

extension SafetensorsType {
    /// The type of tensors by themselves; codes of 8 bits are none, because they mean nothing without scales.
    fileprivate var floatType: ElementType? { byteCount > 1 ? elementType : nil }
}
