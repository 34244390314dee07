import DescentCore
import DescentJSON

/// A description as JSON, read and written with the types that a catalog knows.
struct DescriptionDocument {
    let catalog: Catalog

    /// Where in a document something is named.
    private enum Key {
        static let stage = "stage"
        static let only = "only"
        static let optimizer = "optimizer"
        static let then = "then"
        static let mayBeUnused = "mayBeUnused"
        /// How an average and a lookahead were written around an optimizer, before they stood behind it.
        static let base = "of"
        /// What a stage or an optimizer remembers, which is no setting.
        static let state = "state"
    }

    private struct Outline: Codable {
        var stages: [JSON]?
        var optimizer: JSON?
        var optimizers: [JSON]?
        var configuration: PipelineConfiguration?
    }

    // MARK: Reading

    func read(_ document: JSON) throws(DescentError) -> PipelineDescription {
        let outline: Outline = try document.decode(refusingUnknownKeys: true)
        var stages: [any Stage] = []
        for (index, entry) in (outline.stages ?? []).enumerated() {
            stages.append(try stage(entry, at: "stages[\(index)]"))
        }
        var branches: [OptimizerBranch] = []
        if let entry = outline.optimizer { branches += try self.branches(entry, at: Key.optimizer) }
        for (index, entry) in (outline.optimizers ?? []).enumerated() {
            branches += try self.branches(entry, at: "optimizers[\(index)]")
        }
        guard outline.optimizer == nil || outline.optimizers == nil else {
            throw DescentError(
                .invalidDocument,
                "the document has both \"optimizer\" and \"optimizers\"; list all of them in the latter.")
        }
        return PipelineDescription(
            stages: stages, branches: branches, configuration: outline.configuration ?? PipelineConfiguration())
    }

    /// An optimizer with the parameters that it takes and what stands behind it; one that splits itself is several.
    private func branches(_ entry: JSON, at place: String) throws(DescentError) -> [OptimizerBranch] {
        var (name, settings) = try nameAndSettings(of: entry, key: Key.optimizer, at: place)
        if let base = settings[Key.base], catalog.stages[name] != nil {
            settings[Key.base] = nil
            let follower = try decode(catalog.stage(name, at: place), from: settings, at: place)
            return try branches(base, at: "\(place).\(Key.base)").map { branch in
                var branch = branch
                branch.stages.append(follower)
                return branch
            }
        }
        if catalog.stages[name] != nil, catalog.optimizers[name] == nil {
            throw DescentError(
                .invalidDocument, stage: name,
                "\(name) at \(place) is no optimizer, but stands behind one: "
                    + "{\"optimizer\": \"AdamW\", \"then\": [\"\(name)\"]}.")
        }
        let type = try catalog.optimizer(name, at: place)
        let (only, then, mayBeUnused) = (settings[Key.only], settings[Key.then], settings[Key.mayBeUnused])
        for key in [Key.only, Key.then, Key.mayBeUnused] { settings[key] = nil }
        let optimizer = try decode(
            type, from: settings, alsoKnown: [Key.only, Key.then, Key.mayBeUnused], at: place)
        var stages: [any Stage] = []
        if let then, then != .null {
            let entries: [JSON] = try then.decode(at: "\(place).\(Key.then)")
            for (index, entry) in entries.enumerated() {
                stages.append(try stage(entry, at: "\(place).\(Key.then)[\(index)]"))
            }
        }
        var driving = optimizer.then { stages }
        var isOptional = false
        if let mayBeUnused { isOptional = try mayBeUnused.decode(at: "\(place).\(Key.mayBeUnused)") }
        if let only, only != .null {
            driving = driving.only(try only.decode(at: "\(place).\(Key.only)"))
        }
        return driving.branches.map { branch in
            var branch = branch
            branch.mayBeUnused = branch.mayBeUnused || isOptional
            return branch
        }
    }

    private func stage(_ entry: JSON, at place: String) throws(DescentError) -> any Stage {
        var (name, settings) = try nameAndSettings(of: entry, key: Key.stage, at: place)
        let type = try catalog.stage(name, at: place)
        // As everywhere, null stands for what is left out.
        if settings[Key.only] == .null { settings[Key.only] = nil }
        guard settings[Key.only] != nil else {
            return try decode(type, from: settings, alsoKnown: [Key.only], at: place)
        }
        // What a document may name is known by its type alone: that of a transform can be restricted.
        guard let transform = type as? any DescribedTransform.Type else {
            throw DescentError(
                .invalidDocument, stage: name,
                "\(name) concerns all parameters and cannot be restricted to some, at \(place).\(Key.only).")
        }
        func restricted<Base: DescribedTransform>(_ base: Base.Type) throws(DescentError) -> any Stage {
            try decode(Only<Base>.self, from: settings, at: place)
        }
        return try restricted(transform)
    }

    private func decode<Described: Decodable>(
        _ type: Described.Type, from settings: JSON.Object, alsoKnown: [String] = [], at place: String
    ) throws(DescentError) -> Described {
        do throws(DescentError) {
            return try JSON.object(settings).decode(
                type, refusingUnknownKeys: true, alsoKnown: alsoKnown, at: place, userInfo: catalog.userInfo)
        } catch {
            guard settings[Key.state] == nil, error.message.hasPrefix("missing setting \"\(Key.state)\"") else {
                throw error
            }
            throw statefulCoding("\(type)")
        }
    }

    /// A name alone, or an object in which it is a member among the settings.
    private func nameAndSettings(
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

    func write(_ description: PipelineDescription) throws(DescentError) -> JSON {
        var stages: [JSON] = []
        for stage in description.stages {
            let object = try object(for: stage)
            stages.append(object.count == 1 ? object.values[0] : .object(object))
        }
        var outline = Outline(stages: stages)
        var entries: [JSON] = []
        for branch in description.branches { entries.append(.object(try object(for: branch))) }
        if entries.count == 1 {
            outline.optimizer = entries[0]
        } else if !entries.isEmpty {
            outline.optimizers = entries
        }
        if description.configuration != PipelineConfiguration() { outline.configuration = description.configuration }
        return try JSON(encoding: outline)
    }

    // Stages and optimizers are anybody's; which of them can be written down is known of their types alone.

    private func object(for stage: any Stage) throws(DescentError) -> JSON.Object {
        guard let described = stage as? any DescribedStage else { throw undescribed(stage.name) }
        let name = type(of: described).typeName
        guard catalog.stages[name] != nil else { throw undescribed(stage.name) }
        return try object(Key.stage, name, described, of: stage.name)
    }

    private func object(for branch: OptimizerBranch) throws(DescentError) -> JSON.Object {
        let optimizer = branch.optimizer
        guard let described = optimizer as? any DescribedOptimizer else { throw undescribed(optimizer.name) }
        let name = type(of: described).typeName
        guard catalog.optimizers[name] != nil else { throw undescribed(optimizer.name) }
        var object = try object(Key.optimizer, name, described, of: optimizer.name)
        // What an optimizer says of itself need not be said of it.
        let implied = optimizer.branches.first ?? OptimizerBranch(optimizer)
        if let selection = branch.selection, implied.selection == nil {
            object[Key.only] = try JSON(encoding: selection)
        }
        if branch.mayBeUnused { object[Key.mayBeUnused] = true }
        var stages: [JSON] = []
        for stage in branch.stages.dropFirst(implied.stages.count) {
            let object = try self.object(for: stage)
            stages.append(object.count == 1 ? object.values[0] : .object(object))
        }
        if !stages.isEmpty { object[Key.then] = .array(stages) }
        return object
    }

    /// The settings of something, behind the name of its type.
    private func object(
        _ key: String, _ typeName: String, _ described: any Encodable, of name: String
    ) throws(DescentError) -> JSON.Object {
        let settings: JSON
        do throws(DescentError) { settings = try JSON(encoding: described, userInfo: catalog.userInfo) } catch {
            throw DescentError(error.code, stage: name, "\(name): \(error.message)")
        }
        guard settings[Key.state] == nil else { throw statefulCoding(name) }
        var object = JSON.Object()
        object[key] = .string(typeName)
        for (setting, value) in settings.object ?? JSON.Object() { object[setting] = value }
        return object
    }

    /// The error for a type that remembers something, and has left its coding to the compiler.
    private func statefulCoding(_ name: String) -> DescentError {
        DescentError(
            .invalidDocument, stage: name,
            "\(name) codes its state as a setting; list its settings, and no others, in an enum CodingKeys.")
    }

    private func undescribed(_ name: String) -> DescentError {
        DescentError(
            .invalidDocument, stage: name,
            "\(name) cannot be written down: its type has to conform to DescribedTransform or DescribedOptimizer, and to "
                + "be in the catalog.")
    }
}
