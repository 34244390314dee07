/// What each station of a pipeline, and each follower, may use of a block.
@usableFromInline struct StageAccesses: Sendable {
    /// Whom the accesses name; kept here, because they do not keep them.
    private let owners: [StageAtWork]
    /// For each station.
    @usableFromInline let ofStations: [SlotAccess]
    /// For each follower, branch by branch.
    @usableFromInline let ofFollowers: [SlotAccess]

    init(_ stations: [Station], _ followers: [[any ParameterFollower]], _ slots: SlotTable) {
        var owners: [StageAtWork] = []
        func access(_ name: String, _ slots: Range<Int>, _ station: Station? = nil) -> SlotAccess {
            let owner = StageAtWork(name)
            owners.append(owner)
            var access = SlotAccess(
                first: slots.lowerBound, count: slots.count, readsParameters: station?.readsParameters ?? true,
                of: owner)
            access.readsGradient = station?.readsGradient ?? false
            return access
        }
        ofStations = zip(stations, slots.ofStations).map { access($0.name, $1, $0) }
        ofFollowers = zip(followers, slots.ofFollowers).flatMap { zip($0, $1).map { access($0.name, $1) } }
        self.owners = owners
    }

    /// The access of a station.
    @inlinable func ofStation(_ index: Int, isKept: Bool) -> SlotAccess {
        var access = ofStations[index]
        access.isKept = isKept
        return access
    }

    /// Whether a station keeps anything between steps.
    @inlinable func hasSlots(_ station: Int) -> Bool { ofStations[station].count > 0 }

    /// The access of a follower.
    @inlinable func ofFollower(_ index: Int) -> SlotAccess { ofFollowers[index] }
}
