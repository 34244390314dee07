import Descent
import TestSupport
import Testing

/// Clips groups of parameters, all at once or one after another.
private struct ClipGroups: GradientScaling {
    let isAtOnce: Bool
    let norm: Norm
    let name: String
    var requirements: [Requirement] { [.norm(norm)] }
    private var groups = ParameterGroups()

    init(atOnce isAtOnce: Bool, _ norm: Norm) {
        (self.isAtOnce, self.norm) = (isAtOnce, norm)
        name = "ClipGroups"
    }

    mutating func configure(for layout: ParameterLayout) { groups = ParameterGroups(of: layout, by: \.layer) }

    /// Leaves one layer alone, clips some, and only measures others.
    private func maximum(_ group: Int) -> Float? { group == 1 ? nil : group == 2 ? .infinity : 0.01 * Float(group + 1) }

    mutating func prepare(_ step: inout StepPreparation) {
        guard !isAtOnce else { return step.clip(groups, epsilon: 1e-3, kind: norm) { maximum($0) } }
        for group in 0..<groups.count {
            guard let maximum = maximum(group) else { continue }
            let members = groups[group]
            let first = members[members.startIndex]
            if members.count == 1 {
                step.clip(
                    first, norm: step.incoming.norm(norm, of: first), to: maximum, epsilon: 1e-3, kind: norm,
                    group: groups.names[group])
            } else {
                step.clip(
                    members, norm: step.incoming.norm(norm, over: members), to: maximum, epsilon: 1e-3, kind: norm,
                    group: groups.names[group])
            }
        }
    }
}

@Suite struct GroupClippingTests {
    let layout: ParameterLayout

    init() throws {
        layout = try ParameterLayout(
            (0..<8).flatMap { layer in
                try ["weight", "bias", "gain"].prefix(layer % 3 + 1).map { kind in
                    try ParameterDescription("layer\(layer).\(kind)", shape: kind == "weight" ? [5, 3 + layer] : [5])
                }
            })
    }

    @Test func `groups have the names and members that a closure gives them, in the order of the layout`() throws {
        let layout = try ParameterLayout(
            ["b.x", "a.x", "b.y", "single", "a.y"].map { try ParameterDescription($0, shape: [1]) })
        let groups = ParameterGroups(of: layout) { String($0.name.prefix { $0 != "." }) }
        #expect(groups.names == ["b", "a", "single"])
        #expect((0..<groups.count).map { Array(groups[$0]) } == [[0, 2], [1, 4], [3]])
        #expect(ParameterGroups().count == 0)
        #expect(ParameterGroups(of: try ParameterLayout([]), by: \.name).count == 0)
    }

    @Test(arguments: [Norm.l1, .l2, .lInfinity, .lp(3)])
    func `groups clipped at once have the bits and records of those clipped one after another`(_ norm: Norm) throws {
        for isRestricted in [false, true] {
            func chain(atOnce isAtOnce: Bool) throws -> Chain {
                try Chain(for: layout) {
                    ClipByGlobalNorm(0.9)
                    if isRestricted {
                        ClipGroups(atOnce: isAtOnce, norm).only { $0.rank > 1 && $0.name != "layer3.weight" }
                        Freeze(prefix: "layer5.")
                    } else {
                        ClipGroups(atOnce: isAtOnce, norm)
                    }
                    ClipByGlobalNorm(0.5)
                }
            }
            var (atOnce, oneByOne) = (try chain(atOnce: true), try chain(atOnce: false))
            for step in 0..<3 {
                var first = TensorSet.random(layout, seed: UInt64(step) + 1)
                if step == 2 { first["layer4.bias"] = [Float](repeating: 0, count: 5) }
                var second = first
                let report = try #require(try atOnce.transform(&first).report)
                let expected = try #require(try oneByOne.transform(&second).report)
                #expect(report.norms == expected.norms)
                #expect(report.norms.count > 6 && report.norms.contains { $0.isClipped && $0.group != nil })
                #expect(report.clippedFraction == expected.clippedFraction && report.isClipped)
                #expect(report.gradientNorm == report.norms.first?.before)
                for name in layout.map(\.name) {
                    #expect(first[name].map(\.bitPattern) == second[name].map(\.bitPattern))
                }
            }
        }
    }
}
