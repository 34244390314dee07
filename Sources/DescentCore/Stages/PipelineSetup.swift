/// What a pipeline consists of, in words that processes can compare: stages, optimizer and options, with their settings.
///
/// It is read off the values themselves, so that custom stages take part without doing anything. Numbers are
/// written so that different ones differ. Of a closure, a class and raw memory only the type is known: two schedules or
/// selections that are closures count as the same, whatever they compute.
public struct PipelineSetup: Sendable, Hashable, Codable {
    /// One part of it, such as a stage.
    public struct Component: Sendable, Hashable, Codable {
        /// What it is called: "ClipByGlobalNorm(1.0)".
        public let name: String
        /// What it was set to: "maximumNorm = 1.0".
        public let settings: [String]

        /// Describes something by its name and settings.
        public init(_ name: String, settings: [String] = []) {
            self.name = name
            self.settings = settings
        }

        /// Describes a value by what is stored in it.
        public init(_ name: String, describing value: Any) {
            var settings: [String] = []
            SettingsReader.read(value, as: "", into: &settings)
            self.init(name, settings: settings)
        }
    }

    /// The parts: stages in the order in which gradients flow, the optimizer, the options.
    public private(set) var components: [Component]

    /// Describes what a pipeline is made of by its parts.
    public init(_ components: [Component]) { self.components = components }

    /// Adds something else that processes have to agree on.
    public mutating func add(_ component: Component) { components.append(component) }

    /// What differs between two setups, each of which a process has; nil if they are the same.
    ///
    /// - Parameters:
    ///   - other: What the other process has.
    ///   - here: What this one is called: "rank 1".
    ///   - there: What the other one is called.
    /// - Returns: A phrase: "rank 1's ClipByGlobalNorm(2.0) differs from rank 0's ClipByGlobalNorm(1.0)".
    public func difference(from other: PipelineSetup, here: String, there: String) -> String? {
        for (own, others) in zip(components, other.components) where own != others {
            guard own.name == others.name else { return "\(here)'s \(own.name) differs from \(there)'s \(others.name)" }
            for (setting, another) in zip(own.settings, others.settings) where setting != another {
                return "\(here)'s \(own.name) has \(setting), \(there)'s \(another)"
            }
            return "\(here)'s \(own.name) has \(own.settings.count) settings, \(there)'s \(others.settings.count)"
        }
        let count = min(components.count, other.components.count)
        if components.count > count { return "\(here) has \(components[count].name), which \(there) has not" }
        guard other.components.count > count else { return nil }
        return "\(there) has \(other.components[count].name), which \(here) has not"
    }
}

/// Writes down what is stored in a value.
private enum SettingsReader {
    static func read(_ value: Any, as path: String, into settings: inout [String]) {
        // A number that could be a schedule, and is none, reads as one that could not.
        if let constant = (value as? Schedule)?.constant { return settings.append(line(path, "\(constant)")) }
        let mirror = Mirror(reflecting: value)
        let type = name(of: type(of: value))
        let separator = path.isEmpty ? "" : "."
        switch mirror.displayStyle {
        case .class, .foreignReference:
            settings.append(line(path, "a \(type)"))
        case .optional:
            guard let child = mirror.children.first else { return settings.append(line(path, "nil")) }
            read(child.value, as: path, into: &settings)
        case .set, .dictionary:
            // Their order is another one in every process.
            var elements: [String] = []
            for child in mirror.children {
                var element: [String] = []
                read(child.value, as: "", into: &element)
                elements.append(element.joined(separator: ", "))
            }
            settings.append(line(path, "[\(elements.sorted().joined(separator: "; "))]"))
        case _ where isOpaque(type):
            settings.append(line(path, "a \(type)"))
        case _ where mirror.children.isEmpty:
            settings.append(line(path, mirror.displayStyle == .struct ? type : "\(value)"))
        case .collection:
            settings.append(line(path + separator + "count", "\(mirror.children.count)"))
            for (index, child) in mirror.children.enumerated() {
                read(child.value, as: "\(path)[\(index)]", into: &settings)
            }
        default:
            for (index, child) in mirror.children.enumerated() {
                read(child.value, as: path + separator + (child.label ?? "\(index)"), into: &settings)
            }
        }
    }

    /// The name of a type without the addresses of private contexts, which are others in every process.
    private static func name(of type: Any.Type) -> String {
        var name = String(reflecting: type)
        while let opening = name.firstRange(of: "(unknown context at $") {
            guard let end = name[opening.upperBound...].firstRange(of: ").") else { break }
            name.removeSubrange(opening.lowerBound..<end.upperBound)
        }
        return name
    }

    private static func line(_ path: String, _ text: String) -> String { path.isEmpty ? text : "\(path) = \(text)" }

    /// Whether all that is known of a value is its type: closures, types, and addresses, which no two processes share.
    private static func isOpaque(_ type: String) -> Bool {
        type.contains("->") || type.hasPrefix("Swift.Unsafe") || type.hasSuffix(".Type")
    }
}
