import Descent
import DescentCheckpoints
import DescentCore
import Foundation
import TestSupport
import Testing

/// Saves of several processes that do not come to their end.
@Suite struct InterruptedSaveTests {
    private let folder: TemporaryFolder
    private var path: String { folder["run.safetensors.index.json"] }

    init() throws { folder = try TemporaryFolder() }

    private static func state(_ seed: Int, width: Int = 5) throws -> PipelineState<TensorSet> {
        try SavedStates.everything(of: makeLayout([[6, width], [6], [9, width]]), seed: UInt64(seed))
    }

    /// Saves the state of a seed.
    @discardableResult private func save(_ seed: Int, ranks: Int) throws -> [DescentError?] {
        try Self.state(seed).write(to: path, ranks: ranks, metadata: ["seed": "\(seed)"])
    }

    /// Which state the path leads to, every bit of it.
    private func savedSeed(width: Int = 5) throws -> Int {
        let checkpoint = try Checkpoint(contentsOf: path)
        let seed = try #require(checkpoint.metadata["seed"].flatMap { Int($0) })
        try #require(try checkpoint.state(on: SIMDBackend()).contents == Self.state(seed, width: width).contents)
        return seed
    }

    /// Makes sure that the next save succeeds, and that nothing is left but what belongs to it.
    private func requireNextSave(_ seed: Int, ranks: Int) throws {
        try #require(try save(seed, ranks: ranks) == [DescentError?](repeating: nil, count: ranks))
        try #require(try savedSeed() == seed)
        let names = try folder.contents
        try #require(names.count == ranks + 1, "\(names)")
    }

    // MARK: Ranks that are lost

    @Test(arguments: 0..<4, 0..<3)
    func `a rank that is lost at any moment leaves a whole checkpoint, and the next save succeeds`(
        _ round: Int, _ lost: Int
    ) throws {
        for hasToldOthers in [false, true] {
            try requireNextSave(1, ranks: 2)
            let state = try Self.state(2)
            let errors = ThreadRanks.run(3) { [path] rank, gather in
                var calls = 0
                let part = try state.part(RowDivision(of: state.layout, among: 3, rank: rank))
                try part.write(to: path, metadata: ["seed": "2"]) { numbers throws(DescentError) in
                    defer { calls += 1 }
                    let isLost = rank == lost && calls == round
                    if isLost, !hasToldOthers { throw DescentError(.init("lost"), "This rank is lost.") }
                    let all = try gather(numbers)
                    if isLost { throw DescentError(.init("lost"), "This rank is lost.") }
                    return all
                }
            }
            #expect(errors[lost]?.code == .init("lost"))
            // Rank 0 puts the index in place between its third and its fourth exchange.
            let isReplaced = lost == 0 ? round == 3 : round == 3 || round == 2 && hasToldOthers
            #expect(try savedSeed() == (isReplaced ? 2 : 1), "round \(round), rank \(lost), told \(hasToldOthers)")
            try requireNextSave(3, ranks: 4)
        }
    }

    @Test func `a process that is killed between any two exchanges leaves a whole checkpoint`() async throws {
        try requireNextSave(1, ranks: 2)
        for round in 0..<4 {
            for victim in 0..<2 {
                await #expect(processExitsWith: .signal(SIGKILL)) {
                    [path = path as String, round = round as Int, victim = victim as Int] in
                    let state = try InterruptedSaveTests.state(10 + round)
                    _ = ThreadRanks.run(3) { rank, gather in
                        var calls = 0
                        let part = try state.part(RowDivision(of: state.layout, among: 3, rank: rank))
                        try part.write(to: path, metadata: ["seed": "\(10 + round)"]) { numbers throws(DescentError) in
                            defer { calls += 1 }
                            if rank == victim, calls == round { kill(getpid(), SIGKILL) }
                            return try gather(numbers)
                        }
                    }
                }
                // When rank 0 comes to the fourth exchange, the index is in place; others may come there sooner.
                let seed = try savedSeed()
                #expect(round < 3 ? seed == 1 : victim == 0 ? seed == 13 : [1, 13].contains(seed))
                if round == 3 || victim == 1 { try requireNextSave(1, ranks: 2) }
            }
        }
    }

    @Test func `processes that are killed at any time leave a whole checkpoint`() async throws {
        var generator = SeededGenerator(seed: 1)
        let width = 400
        #expect(try Self.state(0, width: width).write(to: path, ranks: 2, metadata: ["seed": "0"]) == [nil, nil])
        var seeds: Set<Int> = []
        for _ in 0..<8 {
            let delay = UInt32.random(in: 0..<400_000, using: &generator)
            await #expect(processExitsWith: .signal(SIGKILL)) {
                [path = path as String, delay = delay as UInt32, width = width as Int] in
                let states = try (0..<2).map { try InterruptedSaveTests.state($0, width: width) }
                Thread {
                    usleep(delay)
                    kill(getpid(), SIGKILL)
                }.start()
                for save in 1... {
                    let errors = states[save % 2].write(
                        to: path, ranks: 1 + save % 3, metadata: ["seed": "\(save % 2)"])
                    guard errors.allSatisfy({ $0 == nil }) else { break }
                }
            }
            seeds.insert(try savedSeed(width: width))
        }
        #expect(seeds.count == 2, "always killed before the first save was done")
        try requireNextSave(3, ranks: 2)
    }

    // MARK: Ranks that fail

    @Test func `a disk that is full for one rank is an error on all, and the old checkpoint is whole`() async {
        await #expect(processExitsWith: .success) {
            let test = try InterruptedSaveTests()
            try test.requireNextSave(1, ranks: 2)
            let before = try test.folder.contents
            signal(SIGXFSZ, SIG_IGN)
            var limit = rlimit(rlim_cur: 40_000, rlim_max: 40_000)
            setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            // The second rank writes the second parameter, which is too large.
            let layout = try makeLayout([[6, 5], [100, 120]])
            let state = PipelineState<TensorSet>(counters: StepCounters(), layout: layout, components: [])
            let errors = state.write(to: test.path, ranks: 3, including: TensorSet(zeros: layout))
            #expect(errors.allSatisfy { $0?.code == .fileAccess })
            let own = "Cannot write \"\(test.folder["run-00002-2-of-3.safetensors"])\": File too large."
            #expect(errors[1]?.message == own)
            for rank in [0, 2] {
                #expect(
                    errors[rank]?.message
                        == "Rank 1 could not write its part of the checkpoint \"\(test.path)\"; its own error says why."
                )
            }
            #expect(try test.folder.contents == before)
            #expect(try test.savedSeed() == 1)
        }
    }

    @Test func `an index that cannot be written is an error on all, and no shard is left`() throws {
        try requireNextSave(1, ranks: 2)
        let before = try folder.contents
        let many = Dictionary(uniqueKeysWithValues: (0..<10_001).map { ("\($0)", "") })
        let errors = try Self.state(2).write(to: path, ranks: 2, metadata: many)
        #expect(errors.map { $0?.code } == [.invalidFile, .fileAccess])
        #expect(errors[1]?.message.contains("Rank 0 could not write the index of") == true)
        #expect(try folder.contents == before)
        #expect(try savedSeed() == 1)
    }

    @Test func `ranks that save to different paths, or at different steps, are told so`() throws {
        let state = try Self.state(1)
        func errors(_ path: @escaping @Sendable (Int) -> String, _ steps: @escaping @Sendable (Int) -> Int)
            -> [DescentError?]
        {
            ThreadRanks.run(2) { rank, gather in
                let part = try state.part(RowDivision(of: state.layout, among: 2, rank: rank))
                try PipelineState(
                    counters: StepCounters(appliedSteps: steps(rank)), layout: part.layout, components: part.components,
                    division: part.division
                ).write(to: path(rank), gathering: gather)
            }
        }
        let (path, folder) = (path, folder)
        let paths = errors({ folder["run\($0)"] }, { _ in 5 })
        #expect(paths[0]?.message.contains("Rank 1 has written its part, and rank 0 does not find it") == true)
        #expect(paths[1]?.message.contains("Rank 0 could not write the index") == true)
        let steps = errors({ _ in path }, { 5 + $0 })
        for error in steps {
            #expect(error?.code == .stateMismatch)
            #expect(error?.message.contains("Rank 1 has applied 6 steps and skipped 0, rank 0 5 and 0") == true)
        }
        let nowhere = errors({ _ in "/nowhere/run" }, { _ in 5 })
        #expect(nowhere[0]?.message.contains("\"/nowhere/run\": there is no folder \"/nowhere\"") == true)
        #expect(nowhere[1]?.message.contains("Rank 0 could not begin to write") == true)
        #expect(try self.folder.contents.isEmpty)
    }

    @Test func `two jobs that save to one path take turns`() throws {
        let results = (1...4).map { seed in (seed, DispatchGroup(), Ended()) }
        for (seed, group, ended) in results {
            let state = try Self.state(seed)
            group.enter()
            Thread { [path] in
                for _ in 0..<3 { ended.note(state.write(to: path, ranks: seed, metadata: ["seed": "\(seed)"])) }
                group.leave()
            }.start()
        }
        for (_, group, ended) in results {
            group.wait()
            #expect(ended.errors.allSatisfy { $0 == nil })
        }
        try #require([1, 2, 3, 4].contains(try savedSeed()))
        try requireNextSave(5, ranks: 2)
    }

    @Test func `who reads while processes save finds a whole checkpoint`() throws {
        let states = try (0..<2).map { try Self.state($0) }
        try #require(try save(0, ranks: 2) == [nil, nil])
        let (path, group, ended) = (path, DispatchGroup(), Ended())
        group.enter()
        Thread {
            for save in 1...60 {
                ended.note(
                    states[save % 2].write(to: path, ranks: 1 + save % 3, metadata: ["seed": "\(save % 2)"]))
            }
            group.leave()
        }.start()
        repeat { _ = try savedSeed() } while group.wait(timeout: .now()) == .timedOut
        #expect(ended.errors.allSatisfy { $0 == nil })
    }

    /// Errors that one thread notes, and another reads when that has ended.
    private final class Ended: @unchecked Sendable {
        // Unchecked because a group orders the accesses.
        private(set) var errors: [DescentError?] = []
        func note(_ errors: [DescentError?]) { self.errors += errors }
    }

    @Test func `what was left of a damaged index stays, and the next save has a number of its own`() throws {
        try requireNextSave(1, ranks: 2)
        let names = try folder.contents
        _ = try folder.write(Array("{\"weight_map\": {}".utf8), to: "run.safetensors.index.json")
        try save(2, ranks: 1)
        #expect(try savedSeed() == 2)
        #expect(try folder.contents == (names + ["run-00002-1-of-1.safetensors"]).sorted())
        try save(3, ranks: 1)
        #expect(try folder.contents == ["run-00003-1-of-1.safetensors", "run.safetensors.index.json"])
    }
}
