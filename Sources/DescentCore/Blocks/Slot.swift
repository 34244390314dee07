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

    /// What a slot is kept for, as far as the pipeline makes use of it.
    public enum Role: Sendable, Hashable {
        /// Whatever its owner needs it for.
        case buffer
        /// An average of the parameters, which `pipeline.averagedParameters` gives.
        ///
        /// Where a stage has frozen parameters, the pipeline makes their average what they are.
        case parameterAverage
    }

    /// What the slot is kept for.
    public let role: Role

    /// Describes a slot.
    public init(_ name: String, _ elementType: ElementType = .float32, role: Role = .buffer) {
        self.name = name
        self.elementType = elementType
        self.role = role
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
