/// A parameter-shaped buffer that a stage or an optimizer keeps between steps, zero at first.
///
/// A string literal is a slot of float32: `["velocity"]`.
public struct Slot: Sendable, Hashable, ExpressibleByStringLiteral {
    /// The name, unique within its owner.
    public let name: String
    /// How its elements are stored.
    ///
    /// What is kept in bfloat16 is rounded at random, up or down in proportion to the distance: a running mean, whose
    /// steps are smaller than half of the last place, would stand still if it were rounded to nearest. The random bits
    /// come from the step and the element's place, so that results are the same in every run.
    public let elementType: ElementType

    /// Describes a slot.
    public init(_ name: String, _ elementType: ElementType = .float32) {
        self.name = name
        self.elementType = elementType
    }

    /// What the slots of each stage are named after: its name, with a number where others before it have the same.
    static func owners(_ names: [String]) -> [String] {
        var counts: [String: Int] = [:]
        return names.map { name in
            counts[name, default: 0] += 1
            return counts[name].map { $0 > 1 ? "\(name)#\($0)" : name } ?? name
        }
    }

    /// A slot of float32.
    public init(stringLiteral name: String) { self.init(name) }
}
