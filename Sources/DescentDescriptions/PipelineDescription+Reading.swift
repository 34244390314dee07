import DescentCore
import DescentJSON

extension PipelineDescription {
    /// Where in a document something is named.
    private enum Key {
        static let stages = "stages"
        static let optimizer = "optimizer"
        static let stage = "stage"
        static let only = "only"
    }

    // MARK: Reading

    static func read(
        _ document: JSON, _ catalog: Catalog
    ) throws(DescentError) -> (stages: [any Stage], optimizer: (any Optimizer)?) {
        let outline: Outline = try document.decode(refusingUnknownKeys: true)
        var stages: [any Stage] = []
        for (index, entry) in outline.stages.enumerated() {
            stages.append(try stage(entry, at: "\(Key.stages)[\(index)]", catalog))
        }
        guard let entry = outline.optimizer else { return (stages, nil) }
        return (stages, try optimizer(entry, at: Key.optimizer, catalog))
    }

    private struct Outline: Decodable {
        let stages: [JSON]
        let optimizer: JSON?

        private enum CodingKeys: String, CodingKey { case stages, optimizer }

        init(from decoder: any Decoder) throws {
            let members = try decoder.container(keyedBy: CodingKeys.self)
            stages = try members.value(.stages, or: [])
            optimizer = try members.decodeIfPresent(JSON.self, forKey: .optimizer)
        }
    }

    private static func stage(
        _ entry: JSON, at place: String, _ catalog: Catalog
    ) throws(DescentError) -> any Stage {
        var (name, settings) = try nameAndSettings(of: entry, key: Key.stage, at: place)
        let only = settings[Key.only]
        settings[Key.only] = nil
        let stage = try decode(
            try catalog.stage(name, at: place), from: settings, alsoKnown: [Key.only], at: place)
        // As everywhere, null stands for what is left out.
        guard let only, only != .null else { return stage }
        guard let prefix = only.string else {
            throw DescentError(
                .invalidDocument, stage: name, "expected the beginning of names at \(place).\(Key.only).")
        }
        guard case .transform(let transform) = stage.element else {
            throw DescentError(
                .invalidDocument, stage: name,
                "\(name) concerns all parameters and cannot be restricted to some, at \(place).\(Key.only).")
        }
        func restricted(_ transform: some GradientTransform) -> any Stage { transform.only(prefix: prefix) }
        return restricted(transform)
    }

    private static func optimizer(
        _ entry: JSON, at place: String, _ catalog: Catalog
    ) throws(DescentError) -> any Optimizer {
        let (name, settings) = try nameAndSettings(of: entry, key: Key.optimizer, at: place)
        return try decode(try catalog.optimizer(name, at: place), from: settings, alsoKnown: [], at: place)
    }

    private static func decode<Described: Decodable>(
        _ type: Described.Type, from settings: JSON.Object, alsoKnown: [String], at place: String
    ) throws(DescentError) -> Described {
        try JSON.object(settings).decode(type, refusingUnknownKeys: true, alsoKnown: alsoKnown, at: place)
    }

    /// A name alone, or an object in which it is a member among the settings.
    private static func nameAndSettings(
        of entry: JSON, key: String, at place: String
    ) throws(DescentError) -> (String, JSON.Object) {
        if let name = entry.string { return (name, JSON.Object()) }
        guard var settings = entry.object, let name = settings[key]?.string else {
            let nearest = key.nearest(among: entry.object?.keys.filter { $0 != key } ?? [])
            throw DescentError(
                .invalidDocument,
                "expected a name, or an object with a name as \"\(key)\", at \(place)"
                    + (nearest.map { "; there is \($0.quotedBriefly)" } ?? "") + ".")
        }
        settings[key] = nil
        return (name, settings)
    }

    // MARK: Writing

    static func write(
        _ stages: [any Stage], _ optimizer: (any Optimizer)?, _ catalog: Catalog
    ) throws(DescentError) -> JSON {
        var entries: [JSON] = []
        for stage in stages { entries.append(try entry(for: stage, catalog)) }
        var document = JSON.Object()
        document[Key.stages] = .array(entries)
        if let optimizer {
            guard let described = optimizer as? any DescribedOptimizer, catalog.contains(described) else {
                throw undescribed(optimizer.name)
            }
            document[Key.optimizer] = try entry(for: described, key: Key.optimizer, name: optimizer.name)
        }
        return .object(document)
    }

    private static func entry(
        for stage: any Stage, _ catalog: Catalog
    ) throws(DescentError) -> JSON {
        if let restricted = stage as? any RestrictedTransform {
            var object = try object(for: restricted.restricted, catalog)
            object[Key.only] = .string(try restricted.selection.prefix(of: stage.name))
            return .object(object)
        }
        let object = try object(for: stage, catalog)
        return object.count == 1 ? object.values[0] : .object(object)
    }

    private static func object(
        for stage: any Stage, _ catalog: Catalog
    ) throws(DescentError) -> JSON.Object {
        guard let described = stage as? any DescribedStage, catalog.contains(described) else {
            throw undescribed(stage.name)
        }
        return try object(for: described, key: Key.stage, name: stage.name)
    }

    private static func entry(
        for described: any Encodable, key: String, name: String
    ) throws(DescentError) -> JSON { .object(try object(for: described, key: key, name: name)) }

    private static func object(
        for described: any Encodable, key: String, name: String
    ) throws(DescentError) -> JSON.Object {
        let settings: JSON
        do throws(DescentError) { settings = try JSON(encoding: described) } catch {
            throw DescentError(error.code, stage: name, "\(name): \(error.message)")
        }
        var object = JSON.Object()
        object[key] = .string(String(describing: type(of: described)))
        for (setting, value) in settings.object ?? JSON.Object() { object[setting] = value }
        return object
    }

    private static func undescribed(_ name: String) -> DescentError {
        DescentError(
            .invalidDocument, stage: name,
            "\(name) cannot be written down: its type has to conform to DescribedTransform or DescribedOptimizer, and to "
                + "be in the catalog.")
    }
}

/// A stage for some of the parameters, whatever the stage.
private protocol RestrictedTransform {
    var restricted: any Stage { get }
    var selection: ParameterSelection { get }
}

extension Only: RestrictedTransform {
    fileprivate var restricted: any Stage { base }
}
