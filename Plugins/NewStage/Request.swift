/// What the command was called with.
struct Request {
    static let usage = """
        usage: swift package --allow-writing-to-package-directory new-stage <Name> [--folder <folder>]

        Makes a package with a stage for gradient pipelines: a manifest, one transform, its test and a README. It builds and
        its tests pass as made.

          <Name>             the transform's type, such as GradientNoise
          --folder <folder>  where to make the package, seen from this one; Plugins/<Name> by default
          --help             this text

        To write elsewhere than in this package, macOS needs --allow-writing-to-directory <folder> before new-stage.
        """

    /// The name of the stage; nil if help is asked for.
    let name: String?
    /// Where to make the package; nil for the default.
    let folder: String?

    /// Reads arguments.
    ///
    /// - Throws: ``Refusal`` for options that do not exist, and where there is not exactly one name.
    init(_ arguments: [String]) throws {
        var names: [String] = []
        var folder: String?
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "--help", "-h":
                (name, self.folder) = (nil, nil)
                return
            case "--folder":
                guard let value = rest.popFirst(), !value.isEmpty else { throw Refusal("--folder needs a folder.") }
                folder = value
            case _ where argument.hasPrefix("--folder="): folder = String(argument.dropFirst("--folder=".count))
            case _ where argument.hasPrefix("-"):
                throw Refusal("there is no option \(argument).\n\n\(Self.usage)")
            default: names.append(argument)
            }
        }
        guard names.count == 1 else {
            let found = names.isEmpty ? "there is none" : "these are \(names.count): \(names.joined(separator: ", "))"
            throw Refusal("one name is needed, and \(found).\n\n\(Self.usage)")
        }
        name = names[0]
        self.folder = folder
    }
}
