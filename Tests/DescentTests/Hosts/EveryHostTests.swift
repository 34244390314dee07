import Descent
import Foundation
import TestSupport
import Testing

/// What holds for every kind of host, tried on hosts that know nothing of Descent, with glue written as the guide has it.
@Suite struct EveryHostTests {
    enum Host: CaseIterable {
        case lazyArrays, owningOptimizer, variablesInPlace, variablesElsewhere

        var training: any HostTraining.Type {
            switch self {
            case .lazyArrays: LazyArrayTraining.self
            case .owningOptimizer: OwningTraining.self
            case .variablesInPlace: VariableTraining<InPlace>.self
            case .variablesElsewhere: VariableTraining<Elsewhere>.self
            }
        }
    }

    // MARK: What a user holds

    @Test(arguments: Host.allCases) func `what a user held before a step is unchanged after it`(_ host: Host) throws {
        func check(_ type: (some HostTraining).Type) throws {
            var training = try type.init(window: 2)
            var held: [(before: [[UInt32]], now: () -> [[UInt32]])] = []
            // Copies of the numbers: arrays would share the memory that is in question.
            func bits(_ values: [[Float]]) -> [[UInt32]] { values.map { $0.map(\.bitPattern) } }
            for batch in 0..<6 {
                let gradients = training.gradients(batch)
                let (parameters, read) = (training.holdParameters(), training.read)
                held.append((bits(parameters()), { bits(parameters()) }))
                held.append((bits(read(gradients)), { bits(read(gradients)) }))
                #expect(try training.step(gradients).isApplied == (batch % 2 == 1))
            }
            #expect(held.contains { !$0.before.isEmpty })
            for (before, now) in held { #expect(now() == before) }
            #expect(try training.values != type.init(window: 2).values)
        }
        try check(host.training)
    }

    // MARK: The same results

    @Test(arguments: Host.allCases) func `a hundred steps end where the host's own operations end`(_ host: Host) throws
    {
        let difference = try Self.difference(host.training)
        #expect(difference <= 1e-6)
    }

    private static func difference(_ type: (some HostTraining).Type) throws -> Double {
        var training = try type.init(window: 1)
        for batch in 0..<100 { _ = try training.step(training.gradients(batch)) }
        let expected = type.ownOperations(steps: 100)
        #expect(training.values.map(\.count) == expected.map(\.count))
        return largestDifference(training.values.joined(), expected.joined())
    }

    @Test func `no glue is longer than fifteen lines, and the guide says how long it is`() throws {
        let rows = try Markdown("\(Documentation.catalog)/Hosts.md").table("host that was tried")
        var table = "| host | lines of glue | largest difference after 100 steps |\n| --- | --- | --- |\n"
        for host in Host.allCases {
            let training = host.training
            let (file, part) = training.glue
            let lines = try Self.linesOfGlue(file, part)
            #expect((1...15).contains(lines), "\(file)\(part) has \(lines)")
            table += "| \(training.title) | \(lines) | \(try Self.difference(training)) |\n"
            let cell = part.isEmpty ? "\(lines)" : "\(lines)\(part)"
            let isSaid = rows.contains { $0.contains("`\(file)`") && $0.last?.contains(cell) == true }
            #expect(isSaid, "\(file)\(part) has \(lines)")
        }
        print(table)
    }

    /// The lines of code between the marks of a file in this folder.
    private static func linesOfGlue(_ name: String, _ part: String) throws -> Int {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("\(name).swift")
        let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
            .map { $0.trimmingCharacters(in: .whitespaces) }
        var (count, isGlue) = (0, false)
        for line in lines {
            if line.hasPrefix("// MARK: ") {
                isGlue = line == "// MARK: Glue" || line == "// MARK: Glue\(part)"
            } else if isGlue, !line.hasPrefix("//"), !line.isEmpty {
                count += 1
            }
        }
        return count
    }

    @Test func `hosts know nothing of Descent`() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        let hosts = ["LazyArrayHost", "OwningHost", "VariableHost", "PlainProblem"]
        for host in hosts {
            let text = try String(contentsOf: folder.appendingPathComponent("\(host).swift"), encoding: .utf8)
            #expect(!text.contains("import "), "\(host)")
        }
    }

    // MARK: What goes wrong

    @Test(arguments: Host.allCases)
    func `a batch with NaN is skipped and named, changes nothing, and training goes on`(_ host: Host) throws {
        func check(_ type: (some HostTraining).Type) throws {
            var (training, other) = (try type.init(window: 1), try type.init(window: 1))
            for batch in 0..<10 {
                if batch == 0 || batch == 6 {
                    let before = training.bits
                    let gradients = training.gradients(batch, spoiling: type.spoiled)
                    let read = training.read(gradients).map { $0.map(\.bitPattern) }
                    let outcome = try training.step(gradients)
                    #expect(outcome.skipReason?.parameter == type.spoiled)
                    #expect(training.bits == before)
                    #expect(training.read(gradients).map { $0.map(\.bitPattern) } == read)
                }
                #expect(try training.step(training.gradients(batch)).isApplied)
                #expect(try other.step(other.gradients(batch)).isApplied)
            }
            #expect(training.bits == other.bits)
        }
        try check(host.training)
    }

    @Test(arguments: Host.allCases) func `a throw changes nothing, and an error that was kept is thrown next`(
        _ host: Host
    ) throws {
        func check(_ type: (some HostTraining).Type) throws {
            var (training, other) = (try type.init(window: 2), try type.init(window: 2))
            for batch in 0..<8 {
                let before = training.bits
                #expect(throws: DescentError.self) { try training.step(training.wrongGradients()) }
                #expect(training.bits == before)
                if let hasOutcome = training.stepKeepingError(training.wrongGradients()) {
                    #expect(!hasOutcome)
                    // Nothing happens until somebody has been told, whatever is handed over.
                    #expect(training.stepKeepingError(training.gradients(batch)) == false)
                    #expect(training.bits == before)
                    let error = thrownError { _ = try training.step(training.gradients(batch)) }
                    #expect(error != nil && training.bits == before)
                }
                _ = try training.step(training.gradients(batch))
                _ = try other.step(other.gradients(batch))
            }
            #expect(training.bits == other.bits)
        }
        try check(host.training)
    }

    // MARK: Resume

    @Test(arguments: Host.allCases) func `resumed in an open window it goes on with the same bits`(_ host: Host) throws
    {
        func check(_ type: (some HostTraining).Type) throws {
            let folder = try TemporaryFolder()
            var training = try type.init(window: 3)
            for batch in 0..<5 { _ = try training.step(training.gradients(batch)) }
            var resumed = try training.resumed(by: folder["run.safetensors"], window: 3)
            #expect(resumed.bits == training.bits)
            for batch in 5..<15 {
                // Each by itself: models that are references must not be one.
                let outcome = try training.step(training.gradients(batch))
                #expect(try resumed.step(resumed.gradients(batch)).isApplied == outcome.isApplied)
                #expect(outcome.isApplied == (batch % 3 == 2))
                #expect(resumed.bits == training.bits)
            }
        }
        try check(host.training)
    }
}
