import DescentCore

/// How ranks that do something together find out whether all of them have done it.
struct RankAgreement {
    /// What they work on, for messages.
    let path: String
    /// Gives each rank the numbers of all, by rank.
    let gather: ([Double]) throws(DescentError) -> [[Double]]

    /// Waits until all ranks have done something.
    ///
    /// - Parameters:
    ///   - own: How this rank has ended, with as many numbers for all ranks as the others have.
    ///   - count: How many numbers these are.
    ///   - action: What was to be done, for messages: "write its part of".
    /// - Returns: The numbers of all ranks; or why this one has failed, or which other one has. If one gets an error here,
    ///   so do all of them.
    /// - Throws: ``DescentError`` if ranks have lost each other; then this one does not know what others know.
    func share(
        _ own: Result<[Double], DescentError>, count: Int = 0, to action: String
    ) throws(DescentError) -> Result<[[Double]], DescentError> {
        let numbers = (try? own.get()).map { [1] + $0 } ?? [Double](repeating: 0, count: 1 + count)
        let all: [[Double]]
        do throws(DescentError) { all = try gather(numbers) } catch {
            // What went wrong here is more telling than that others have gone.
            if case .failure(let reason) = own { throw reason }
            throw error
        }
        if case .failure(let reason) = own { return .failure(reason) }
        if let failed = all.firstIndex(where: { $0[0] == 0 }) {
            return .failure(
                DescentError(
                    .fileAccess,
                    "Rank \(failed) could not \(action) the checkpoint \"\(path)\"; its own error says why."))
        }
        return .success(all.map { Array($0.dropFirst()) })
    }
}
