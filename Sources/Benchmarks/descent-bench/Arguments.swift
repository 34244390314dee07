import Descent
import ExampleSupport

/// What the program was called with.
struct Arguments {
    private(set) var workloads: [Workload] = []
    private(set) var chains: [BenchmarkChain] = []
    /// Whether every optimizer and stage is measured.
    private(set) var asksForEvery = false
    /// Where to draw how long a step takes for models of different sizes.
    private(set) var plot: String?
    /// What `Tests/Peers/compare.py --sizes` has written, for the drawing.
    private(set) var peers: String?
    private(set) var sizes = Plot.usualSizes
    /// The jobs for which bytes are counted, each by its number of ranks, in place of measuring time.
    private(set) var ranks: [Int] = []
    private(set) var writesJSON = false
    private(set) var waitsForTurns = false
    private(set) var seconds = 3.0
    /// As many as processors that this process may use.
    private(set) var threads = SIMDBackend().threadCount

    /// Reads arguments; without a workload or a chain, all are meant.
    ///
    /// - Throws: `BadArgument` for what makes no sense.
    init(_ words: inout ArgumentList) throws {
        while let argument = words.next() {
            switch argument {
            case "--json": writesJSON = true
            case "--in-turns": waitsForTurns = true
            case "--every": asksForEvery = true
            case "--plot": plot = try OutputFile(words.value(of: argument)).path
            case "--peers": peers = try words.value(of: argument)
            case "--sizes": sizes = try Self.sizes(try words.value(of: argument))
            case "--ranks": ranks = try Self.ranks(try words.value(of: argument))
            case "--chain": chains.append(try Self.chain(try words.value(of: argument)))
            case "--seconds":
                seconds = try words.number(of: argument, "a number above 0") { $0 > 0 && $0.isFinite }
            case "--threads": threads = try words.number(of: argument, "a whole number from 1") { $0 >= 1 }
            case _ where argument.hasPrefix("-"): throw words.unknown(argument)
            default: workloads.append(try Self.workload(argument))
            }
        }
        guard !asksForEvery || chains.isEmpty else { throw BadArgument("--every has chains of its own") }
        guard plot == nil || (chains.isEmpty && workloads.isEmpty && !asksForEvery) else {
            throw BadArgument("--plot has a chain and workloads of its own")
        }
        guard ranks.isEmpty || (chains.isEmpty && plot == nil && !asksForEvery) else {
            throw BadArgument("--ranks has a chain of its own")
        }
        guard peers == nil || plot != nil else { throw BadArgument("--peers are for --plot") }
        if asksForEvery { chains = BenchmarkChain.every }
        if chains.isEmpty { chains = BenchmarkChain.usual }
        if workloads.isEmpty {
            workloads = chains.contains { $0.roofline == .bytes } ? [.matrices] : Workload.usual
        }
        guard !waitsForTurns || isSingle else { throw BadArgument("--in-turns needs one workload and one --chain") }
    }

    /// Whether one workload and one chain are asked for.
    var isSingle: Bool { workloads.count == 1 && chains.count == 1 }

    /// The arguments with which a process of its own measures one chain over one workload.
    func forOne(_ workload: Workload, _ chain: BenchmarkChain) -> [String] {
        [
            workload.name, "--chain", chain.name, "--seconds", "\(seconds)", "--threads", "\(threads)",
            "--json",
        ]
    }

    private static func sizes(_ text: String) throws -> [Int] {
        let sizes = text.split(separator: ",").map { Int($0) ?? 0 }
        guard !sizes.isEmpty, sizes.allSatisfy({ Workload(named: "size-\($0)") != nil }) else {
            throw BadArgument("--sizes cannot be \"\(text)\"; they are numbers of elements with commas between them")
        }
        return sizes
    }

    private static func ranks(_ text: String) throws -> [Int] {
        let ranks = text.split(separator: ",").map { Int($0) ?? 0 }
        guard !ranks.isEmpty, ranks.allSatisfy((1...100_000).contains) else {
            throw BadArgument("--ranks cannot be \"\(text)\"; they are numbers of ranks with commas between them")
        }
        return ranks
    }

    private static func chain(_ name: String) throws -> BenchmarkChain {
        if let chain = BenchmarkChain(named: name) { return chain }
        let known = BenchmarkChain.all.map(\.name).joined(separator: ", ")
        throw BadArgument("there is no chain \"\(name)\"; there are \(known)")
    }

    private static func workload(_ name: String) throws -> Workload {
        if let workload = Workload(named: name) { return workload }
        let known = (Workload.all.map(\.name) + ["size-1000 and the like"]).joined(separator: ", ")
        throw BadArgument("there is no workload \"\(name)\"; there are \(known)")
    }
}
