/// The parameters of a layout in groups, each of which has a name: by layer, or each by itself.
public struct ParameterGroups: Sendable {
    /// The names of the groups, in the order of their first parameters.
    public let names: [String]
    /// The positions of parameters in the layout, group by group.
    let members: [Int]
    /// For each group, where its members end.
    let ends: [Int]

    /// Groups without a parameter.
    public init() { (names, members, ends) = ([], [], []) }

    /// Groups all parameters of a layout.
    ///
    /// - Parameters:
    ///   - layout: The parameters.
    ///   - name: Names the group that a parameter belongs to.
    public init(of layout: ParameterLayout, by name: (ParameterDescription) -> String) {
        var (names, groups) = ([String](), [[Int]]())
        var positions: [String: Int] = [:]
        for (index, parameter) in layout.enumerated() {
            let name = name(parameter)
            if let position = positions[name] {
                groups[position].append(index)
            } else {
                positions[name] = groups.count
                names.append(name)
                groups.append([index])
            }
        }
        self.names = names
        members = groups.flatMap { $0 }
        var end = 0
        ends = groups.map { group in
            end += group.count
            return end
        }
    }

    /// How many groups there are.
    public var count: Int { names.count }

    /// The positions of a group's parameters in the layout, in its order.
    ///
    /// - Precondition: There is a group at this position.
    public subscript(group: Int) -> ArraySlice<Int> { members[(group == 0 ? 0 : ends[group - 1])..<ends[group]] }
}
