extension KeyPath {
    /// The names of the members along the path, with dots between them: "hidden.weight".
    ///
    /// Nil for the path of a whole value, and for one with a subscript or a computed property in it: those have no name
    /// at run time.
    var memberNames: String? {
        let root = "\\\(Root.self)."
        guard debugDescription.hasPrefix(root) else { return nil }
        let names = debugDescription.dropFirst(root.count)
        return names.contains("<") || names == "self" ? nil : String(names)
    }
}
