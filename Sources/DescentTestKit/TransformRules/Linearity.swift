import DescentCore
import DescentSIMD

extension Rule where Subject == DescentTestKit.Subject {
    /// That a stage that claims to be linear is.
    static var linearity: Rule {
        Rule(
            title: "a linear stage is linear in each row",
            expectation: """
                With the effect .linear, s times the gradient gives s times the result, a row depends on no other row, and a \
                row with a NaN keeps one, unless it says that it repairs them. Anything else, a clamp or a constant that is added, is .arbitrary.
                """,
            cases: { $0.transform?.effect == .linear ? [$0.example([[4, 3], [5], [3, 2, 2]], steps: 1)] : [] },
            complaint: { subject, example in
                func result(
                    _ edit: @escaping (ParameterDescription, inout [Float]) -> Void
                ) throws -> [[Float]] {
                    var session = try Session(
                        subject, example, on: SIMDBackend(threads: 1), .init(nonFinite: .propagate))
                    return try session.step(.init(0, edit: edit)).gradient ?? []
                }
                let layout = try example.layout
                let plain = try result { _, _ in }
                for factor in [Float(0.25), -2, 3] {
                    let scaled = try result { _, elements in
                        for index in elements.indices { elements[index] *= factor }
                    }
                    if let difference = difference(scaled, plain, factor, layout) { return difference }
                }
                let spoiled = try result { _, elements in
                    if !elements.isEmpty { elements[0] = .nan }
                }
                for (parameter, (before, after)) in zip(layout, zip(plain, spoiled)) where parameter.count > 0 {
                    let row = 0..<parameter.columnCount
                    if subject.transform?.repairsNonFinite == false, after[row].allSatisfy(\.isFinite) {
                        return "a NaN in the first row of \"\(parameter.name)\" leaves \(Array(after[row])) there"
                    }
                    let rest = parameter.columnCount..<parameter.count
                    if zip(before[rest], after[rest]).contains(where: { !$0.isSame(as: $1) }) {
                        return "another first row of \"\(parameter.name)\" makes \(Array(after[rest])) of the other "
                            + "rows, which were \(Array(before[rest]))"
                    }
                }
                return nil
            })
    }

    private static func difference(
        _ scaled: [[Float]], _ plain: [[Float]], _ factor: Float, _ layout: ParameterLayout
    ) -> String? {
        for (parameter, (scaled, plain)) in zip(layout, zip(scaled, plain)) {
            let largest = plain.reduce(0) { max($0, $1.magnitude) } * factor.magnitude
            for (index, (scaled, plain)) in zip(scaled, plain).enumerated()
            where !((scaled - factor * plain).magnitude <= 1e-5 * largest) {
                return "\(factor) times the gradient gives \(scaled) at [\(index)] of \"\(parameter.name)\", and the "
                    + "gradient itself \(plain)"
            }
        }
        return nil
    }
}
