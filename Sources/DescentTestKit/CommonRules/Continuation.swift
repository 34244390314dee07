import DescentCore
import DescentSIMD

extension Rule where Subject == DescentTestKit.Subject {
    /// That training goes on after a save as if there had been none.
    static var continuation: Rule {
        Rule(
            title: "saved, loaded and continued, it does what it would have done without interruption",
            expectation: """
                All that is remembered between steps is in `state` and in slots, or follows from the number of applied \
                steps. Other stored properties are settings, or made anew from settings and state by \
                configure(for:) or prepare. What configure(for:) makes of the layout, it does not add to the state.
                """,
            cases: { [$0.mixture] },
            complaint: { subject, example in
                let backend = SIMDBackend(threads: 1)
                let uninterrupted = try Session.trace(of: subject, example, on: backend)
                let continued = try Session.trace(of: subject, example, on: backend, .init(reloads: true))
                return continued.difference(
                    from: uninterrupted, .bits, "saved and loaded after each step", "without interruption")
            })
    }
}
