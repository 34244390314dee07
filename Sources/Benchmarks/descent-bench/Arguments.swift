import ExampleSupport
import Foundation

/// What the program was called with.
struct Arguments {
    private(set) var workloads: [Workload] = []
    private(set) var chains: [BenchmarkChain] = []
    private(set) var writesJSON = false
    private(set) var waitsForTurns = false
    private(set) var asksForHelp = false
    private(set) var seconds = 3.0
    private(set) var threads = ProcessInfo.processInfo.activeProcessorCount

    /// Reads arguments; without a workload or a chain, all are meant.
    init(_ arguments: [String]) throws {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "--json": writesJSON = true
            case "--in-turns": waitsForTurns = true
            case "--help", "-h": asksForHelp = true
            case "--chain": chains.append(try Self.named(try Self.value(of: argument, &rest), "chain"))
            case "--seconds": seconds = try Self.number(of: argument, &rest) { $0 > 0 && $0.isFinite }
            case "--threads": threads = try Self.number(of: argument, &rest) { $0 >= 1 }
            case _ where argument.hasPrefix("-"): throw BadArgument("there is no option \"\(argument)\"")
            default: workloads.append(try Self.named(argument, "workload"))
            }
        }
        if workloads.isEmpty { workloads = Workload.usual }
        if chains.isEmpty { chains = BenchmarkChain.usual }
        guard !waitsForTurns || isSingle else { throw BadArgument("--in-turns needs one workload and one --chain") }
    }

    /// Whether one workload and one chain are asked for.
    var isSingle: Bool { workloads.count == 1 && chains.count == 1 }

    /// The arguments with which a process of its own measures one chain over one workload.
    func forOne(_ workload: Workload, _ chain: BenchmarkChain) -> [String] {
        [
            workload.rawValue, "--chain", chain.rawValue, "--seconds", "\(seconds)", "--threads", "\(threads)",
            "--json",
        ]
    }

    private static func value(of option: String, _ rest: inout ArraySlice<String>) throws -> String {
        guard let value = rest.popFirst() else { throw BadArgument("\(option) needs a value") }
        return value
    }

    private static func number<Number: LosslessStringConvertible>(
        of option: String, _ rest: inout ArraySlice<String>, where isInRange: (Number) -> Bool
    ) throws -> Number {
        let value = try value(of: option, &rest)
        guard let number = Number(value), isInRange(number) else {
            throw BadArgument("\(option) cannot be \"\(value)\"")
        }
        return number
    }

    private static func named<Value: RawRepresentable<String> & CaseIterable>(
        _ name: String, _ kind: String
    ) throws -> Value {
        if let value = Value(rawValue: name) { return value }
        let known = Value.allCases.map(\.rawValue).joined(separator: ", ")
        throw BadArgument("there is no \(kind) \"\(name)\"; there are \(known)")
    }
}
