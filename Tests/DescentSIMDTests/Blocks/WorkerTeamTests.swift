import Foundation
import Synchronization
import Testing

@testable import DescentSIMD

@Suite struct WorkerTeamTests {
    /// What a sweep does with a team: units of work are dealt out by a counter, to whoever comes.
    private final class Work: Sendable {
        let dealt = Atomic(0)
        let done: [Counter]

        init(units: Int) { done = (0..<units).map { _ in Counter() } }

        func run() {
            while true {
                let unit = dealt.wrappingAdd(1, ordering: .relaxed).oldValue
                guard unit < done.count else { return }
                done[unit].increment()
            }
        }
    }

    private final class Counter: Sendable {
        private let value = Atomic(0)
        var count: Int { value.load(ordering: .acquiring) }
        func increment() { value.wrappingAdd(1, ordering: .acquiringAndReleasing) }
    }

    @Test(arguments: 1...5) func `every unit of work is done once, and before the call returns`(threads: Int) {
        let team = WorkerTeam(threads: threads)
        for round in 0..<500 {
            let work = Work(units: round % 40)
            team.perform(threads: threads) { _ in work.run() }
            #expect(work.done.allSatisfy { $0.count == 1 }, "round \(round)")
        }
    }

    @Test func `helpers that have gone come back`() {
        let team = WorkerTeam(threads: 2)
        for _ in 0..<5 {
            let helped = Counter()
            // The caller goes on until a helper has come, so this ends only if one does.
            team.perform(threads: 2) { thread in
                if thread == 1 { helped.increment() }
                while helped.count == 0 { sched_yield() }
            }
            #expect(helped.count == 1)
            Thread.sleep(forTimeInterval: 0.002)
        }
    }

    @Test func `threads are told apart, and no more of them come than are wanted`() {
        let team = WorkerTeam(threads: 5)
        for wanted in 1...5 {
            let seen = (0..<5).map { _ in Counter() }
            team.perform(threads: wanted) { thread in
                seen[thread].increment()
            }
            #expect(seen[0].count == 1)
            for thread in 0..<5 {
                #expect(seen[thread].count <= (thread < wanted ? 1 : 0))
            }
        }
    }

    @Test func `the caller sleeps until a helper that takes long has done`() {
        let team = WorkerTeam(threads: 2)
        let helped = Counter()
        team.perform(threads: 2) { thread in
            if thread == 1 {
                helped.increment()
                let end = DispatchTime.now().uptimeNanoseconds + 2_000_000
                while DispatchTime.now().uptimeNanoseconds < end {}
                helped.increment()
            }
            while helped.count == 0 { sched_yield() }
        }
        #expect(helped.count == 2)
    }

    #if os(Linux)
        @Test func `after a helper had no processor in the middle of its work, the caller works alone for a while`() {
            let team = WorkerTeam(threads: 2)
            let helped = Counter()
            func perform() {
                team.perform(threads: 2) { thread in
                    if thread == 1 {
                        helped.increment()
                        Thread.sleep(forTimeInterval: 0.05)
                    }
                    for _ in 0..<100 where helped.count == 0 { Thread.sleep(forTimeInterval: 0.001) }
                }
            }
            while helped.count == 0 { perform() }
            team.perform(threads: 2) { thread in
                #expect(thread == 0)
                Thread.sleep(forTimeInterval: 0.01)
            }
            // The while is ten times as long as the helper slept.
            Thread.sleep(forTimeInterval: 0.6)
            let formerly = helped.count
            while helped.count == formerly { perform() }
        }
    #endif
}
