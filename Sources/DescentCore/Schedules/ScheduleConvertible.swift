/// A number for a setting, or a schedule of such: `0.1`, a `Float`, `.linear(initial: 0.1, end: 0, transitionSteps: 1_000)`.
///
/// Schedules are named where `Self` is ``Schedule``, so that a leading dot finds them in settings of either type.
public protocol ScheduleConvertible: Sendable {
    /// The schedule; of a number, that which stays the same.
    var schedule: Schedule { get }
}

extension Schedule: ScheduleConvertible {
    public var schedule: Schedule { self }
}

extension Float: ScheduleConvertible {
    public var schedule: Schedule { .constant(Double(self)) }
}

extension Double: ScheduleConvertible {
    public var schedule: Schedule { .constant(self) }
}

extension Int: ScheduleConvertible {
    public var schedule: Schedule { .constant(Double(self)) }
}
