import Descent
import Foundation

/// Ranks that are threads of this process, and tell each other numbers.
final class ThreadRanks: @unchecked Sendable {
    // Unchecked because the condition guards what changes.
    private let condition = NSCondition()
    private let count: Int
    private var rounds: [[[Double]?]] = []
    /// Ranks that tell nothing any more.
    private var gone: Set<Int> = []

    init(_ count: Int) { self.count = count }

    /// Gives each rank the numbers of all.
    func gather(_ numbers: [Double], rank: Int, round: Int) throws(DescentError) -> [[Double]] {
        condition.lock()
        defer { condition.unlock() }
        while rounds.count <= round { rounds.append([[Double]?](repeating: nil, count: count)) }
        rounds[round][rank] = numbers
        condition.broadcast()
        while true {
            let found = rounds[round].compactMap { $0 }
            if found.count == count {
                guard Set(found.map(\.count)).count == 1 else {
                    throw DescentError(.init("wrongCount"), "\(found.map(\.count)) numbers in round \(round)")
                }
                return found
            }
            if let lost = gone.first(where: { rounds[round][$0] == nil }) {
                throw DescentError(.init("lost"), "Rank \(lost) is gone.")
            }
            condition.wait()
        }
    }

    private func leave(_ rank: Int) {
        condition.lock()
        gone.insert(rank)
        condition.broadcast()
        condition.unlock()
    }

    /// Does something as each of some ranks.
    ///
    /// - Parameters:
    ///   - count: How many ranks there are.
    ///   - body: What a rank does, with its number and how it gathers.
    /// - Returns: For each rank its error.
    static func run(
        _ count: Int,
        _ body: @escaping @Sendable (Int, @escaping ([Double]) throws(DescentError) -> [[Double]]) throws -> Void
    ) -> [DescentError?] {
        let (ranks, errors, done) = (ThreadRanks(count), Errors(count), DispatchGroup())
        for rank in 0..<count {
            done.enter()
            let thread = Thread {
                var round = 0
                do {
                    try body(rank) { numbers throws(DescentError) in
                        defer { round += 1 }
                        return try ranks.gather(numbers, rank: rank, round: round)
                    }
                } catch { errors.note(error as? DescentError ?? DescentError(.init("other"), "\(error)"), rank) }
                ranks.leave(rank)
                done.leave()
            }
            thread.stackSize = 4 << 20
            thread.start()
        }
        done.wait()
        return errors.all
    }

    private final class Errors: @unchecked Sendable {
        // Unchecked because the lock guards what changes.
        private let lock = NSLock()
        private var errors: [DescentError?]

        init(_ count: Int) { errors = [DescentError?](repeating: nil, count: count) }
        func note(_ error: DescentError, _ rank: Int) { lock.withLock { errors[rank] = error } }
        var all: [DescentError?] { lock.withLock { errors } }
    }
}
