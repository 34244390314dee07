import DescentCore
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import DescentSIMD

/// Races that are planted in kernels, one for each operand of each, which the thread sanitizer has to report.
///
/// It does not see accesses of more than 16 bytes, so that without care it would be silent about all of them.
@Suite(.enabled(if: Sanitizer.watchesThreads, "only in a build with --sanitize thread"))
struct KernelRaceTests {
    // One of a whole vector, and one of the rest; in processes of their own, since no two reports are of the same lines.
    @Test(arguments: InstructionSet.allCases.filter(\.isAvailable).map(\.rawValue), [5, 65])
    func `every planted race is reported`(_ level: String, _ element: Int) async {
        let result = await #expect(processExitsWith: .exitCode(66), observing: [\.standardErrorContent]) {
            [level = level as String, element = element as Int] in
            try KernelRace.run(on: level, touching: element, isPlanted: true)
        }
        let output = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        let sections = output.components(separatedBy: KernelRace.mark).dropFirst()
        #expect(sections.count == KernelRace.all.count)
        for section in sections where !section.contains("WARNING: ThreadSanitizer: data race") {
            Issue.record("no report for \(section.prefix { $0 != "\n" }), element \(element), of \(level)")
        }
    }

    @Test(arguments: InstructionSet.allCases.filter(\.isAvailable).map(\.rawValue))
    func `where threads keep to memory of their own, nothing is reported`(_ level: String) async {
        await #expect(processExitsWith: .success) { [level = level as String] in
            try KernelRace.run(on: level, touching: 5, isPlanted: false)
        }
    }
}

/// A kernel on one thread, and another thread that touches an element of one of its operands.
private struct KernelRace {
    /// What is written to standard error before each.
    static let mark = "\nRACE "
    /// Enough for whole vectors and for a rest.
    private static let length = 67
    private static let operands = 6

    let name: String
    /// The operand that is touched, and how: what a kernel writes is read, what it only reads is written.
    let operand: Int
    let isWritten: Bool
    let elementType: ElementType
    let run: @Sendable (Kernels, Memory) -> Void

    /// Operands in memory of their own; it is never given back, so that no two races are at one address.
    struct Memory: @unchecked Sendable {
        // Unchecked because races are what it is for.
        let words: UnsafeMutablePointer<UInt16>
        let floats: [UnsafeMutablePointer<Float>]

        init() {
            words = .allocate(capacity: length + 64)
            words.initialize(repeating: 0x3c00, count: length + 64)
            floats = (0..<operands).map { _ in
                let memory = UnsafeMutablePointer<Float>.allocate(capacity: length + 64)
                memory.initialize(repeating: 1, count: length + 64)
                return memory + 1
            }
        }

        func gradient(_ type: ElementType = .float32) -> PendingGradient {
            let source = type == .float32 ? UnsafeRawPointer(floats[0]) : UnsafeRawPointer(words)
            return PendingGradient(source: source, type, rows: 1, columns: length, factor: 2, means: nil)
        }
    }

    /// Runs all races at one level; or, if they are not planted, the same accesses to different memory.
    static func run(on level: String, touching element: Int, isPlanted: Bool) throws {
        let kernels = Kernels(try #require(InstructionSet(rawValue: level)))
        let team = WorkerTeam(threads: 2)
        for race in all {
            FileHandle.standardError.write(Data("\(mark)\(race.name), operand \(race.operand)\n".utf8))
            race.run(kernels, on: team, touching: element, isPlanted: isPlanted)
        }
    }

    private func run(_ kernels: Kernels, on team: WorkerTeam, touching element: Int, isPlanted: Bool) {
        let memory = Memory()
        let touched = isPlanted ? memory : Memory()
        // What the runtime makes once, it makes under locks, which would order the threads.
        run(kernels, Memory())
        touch(Memory(), element)
        let arrived = Atomic(0)
        let hasRun = Atomic(false)
        while !hasRun.load(ordering: .relaxed) {
            team.perform(threads: 2) { thread in
                // Relaxed, so that nothing orders the threads.
                if thread == 0 {
                    for _ in 0..<1_000 where arrived.load(ordering: .relaxed) == 0 { sched_yield() }
                    guard arrived.load(ordering: .relaxed) > 0 else { return }
                    run(kernels, memory)
                    hasRun.store(true, ordering: .relaxed)
                } else {
                    arrived.store(1, ordering: .relaxed)
                    // A read before the kernel's own loads and stores may be forgotten by the sanitizer until it stores.
                    for _ in 0..<1_000 where isWritten && !hasRun.load(ordering: .relaxed) { sched_yield() }
                    touch(touched, element)
                }
            }
        }
    }

    private func touch(_ memory: Memory, _ element: Int) {
        if elementType != .float32, operand == 0 {
            if isWritten { blackHole(memory.words[element]) } else { memory.words[element] = 0x3c00 }
        } else {
            let floats = memory.floats[operand]
            if isWritten { blackHole(floats[element]) } else { floats[element] = 1 }
        }
    }

    @inline(never) private func blackHole(_ value: some Sendable) {}
}

extension KernelRace {
    private init(
        _ name: String, _ operand: Int, writes isWritten: Bool, _ elementType: ElementType = .float32,
        _ run: @escaping @Sendable (Kernels, Memory) -> Void
    ) {
        self.init(name: name, operand: operand, isWritten: isWritten, elementType: elementType, run: run)
    }

    /// A race for each operand of each kernel.
    static var all: [KernelRace] {
        reductions + ElementType.allCases.flatMap(materializing) + updates + conversions + transpositions + units
            + averages + others
    }

    private static var others: [KernelRace] {
        [
            KernelRace("agreeingCount", 0, writes: false) { _ = $0.agreeingCount($1.gradient(), $1.floats[1]) },
            KernelRace("agreeingCount", 1, writes: false) { _ = $0.agreeingCount($1.gradient(), $1.floats[1]) },
            KernelRace("scaleAgreeing", 0, writes: false) { $0.scaleAgreeing($1.gradient(), $1.floats[1], by: 2) },
            KernelRace("scaleAgreeing", 1, writes: true) { $0.scaleAgreeing($1.gradient(), $1.floats[1], by: 2) },
            KernelRace("decayedNorm", 0, writes: false) { _ = $0.decayedNorm($1.gradient(), $1.floats[1], 2) },
            KernelRace("decayedNorm", 1, writes: false) { _ = $0.decayedNorm($1.gradient(), $1.floats[1], 2) },
            KernelRace("add noise", 0, writes: true) {
                $0.add(
                    NormalNoise(deviation: 1, seed: 1, parameter: 0, step: 0), to: $1.floats[0], count: length, from: 0)
            },
        ]
    }

    private static var transpositions: [KernelRace] {
        (0..<2).map { operand in
            KernelRace("transpose", operand, writes: operand == 1) {
                $0.transpose($1.floats[0], stride: 1, into: $1.floats[1], stride: 1, rows: length, columns: 1)
            }
        }
    }

    private static var reductions: [KernelRace] {
        [
            KernelRace("sumOfSquares", 0, writes: false) {
                _ = $0.sumOfSquares($1.floats[0], count: length, minus: 0.5)
            },
            KernelRace("sumOfMagnitudes", 0, writes: false) {
                _ = $0.sumOfMagnitudes($1.floats[0], count: length, minus: 0)
            },
            KernelRace("largestMagnitude", 0, writes: false) {
                _ = $0.largestMagnitude($1.floats[0], count: length, minus: 0)
            },
            KernelRace("fillRowMeans", 0, writes: false) {
                _ = $0.fillRowMeans($1.floats[0], rows: 1, columns: length, into: $1.floats[1])
            },
            KernelRace("fillRowMeans", 1, writes: true) {
                _ = $0.fillRowMeans($1.floats[0], rows: length, columns: 1, into: $1.floats[1])
            },
            KernelRace("addCenteredSquares", 0, writes: false) {
                var total = 0.0
                $0.addCenteredSquares($1.floats[0], rows: 1, columns: length, means: $1.floats[1], to: &total)
            },
        ]
    }

    private static func materializing(_ type: ElementType) -> [KernelRace] {
        [
            KernelRace("materialize \(type)", 0, writes: false, type) {
                $0.materialize($1.gradient(type), into: $1.floats[1])
            },
            KernelRace("materialize \(type)", 1, writes: true, type) {
                $0.materialize($1.gradient(type), into: $1.floats[1])
            },
            KernelRace("accumulate \(type)", 0, writes: false, type) {
                $0.accumulate($1.gradient(type), onto: UnsafePointer($1.floats[1]), into: $1.floats[1], factor: 3)
            },
            KernelRace("accumulate \(type)", 1, writes: true, type) {
                $0.accumulate($1.gradient(type), onto: nil, into: $1.floats[1], factor: 3)
            },
        ]
    }

    private static var updates: [KernelRace] {
        let rates = UpdateRates(learningRate: 0.01, weightDecay: 0.1)
        let sgd = SGDCoefficients(
            SGDRule(momentum: 0.9, dampening: 0, nesterov: false, maximize: false, isFirst: false), rates)
        let adam = AdamRule(
            beta1: 0.9, beta2: 0.999, epsilon: 1e-8, amsgrad: true, decouplesWeightDecay: true, step: 2
        ).coefficients(for: rates)
        let ofSGD = (0..<3).map { operand in
            KernelRace("sgd", operand, writes: operand > 0) {
                $0.sgd($1.gradient(), $1.floats[1], velocity: $1.floats[2], sgd)
            }
        }
        // Of its moments the first: all are read and written by the same lines, of which there is one report.
        let ofAdam = (0..<3).map { operand in
            KernelRace("adam", operand, writes: operand > 0) {
                let floats = $1.floats
                $0.adam($1.gradient(), floats[1], first: floats[2], second: floats[3], largest: floats[4], adam)
            }
        }
        // Moments that are kept differ in who writes them only.
        let ofDirection = [false, true].flatMap { keepsMoments in
            (keepsMoments ? [2] : [0, 1, 2, 5]).map { operand in
                KernelRace("direction of Adam", operand, writes: operand > (keepsMoments ? 1 : 4)) {
                    let floats = $1.floats
                    $0.adamDirection(
                        $1.gradient(), floats[1], first: floats[2], second: floats[3], largest: floats[4],
                        into: floats[5], adam, keepsMoments: keepsMoments)
                }
            }
        }
        return ofSGD + ofAdam + ofDirection + ElementwiseRule.Kernel.allCases.flatMap(ofRule)
    }

    private static func ofRule(_ kernel: ElementwiseRule.Kernel) -> [KernelRace] {
        let rule = ElementwiseRule(kernel, gradientFactor: 1, numbers: SIMD16(repeating: 0.5))
        let slots = 2..<2 + kernel.slotCount
        func race(_ operand: Int, writes: Bool, moves: Bool, keeps: Bool = true) -> KernelRace {
            KernelRace(kernel.rawValue, operand, writes: writes) {
                let floats = $1.floats
                $0.carryOut(
                    rule, $1.gradient(), floats[1], slots: (floats[2], floats[3], floats[4]),
                    into: moves ? nil : floats[5], rate: 0.1, keepsSlots: keeps)
            }
        }
        let ofMove = (0..<slots.upperBound).map { race($0, writes: $0 > 0, moves: true) }
        guard kernel.hasDirection else { return ofMove }
        let lent = ([0, 1, 5] + slots).map { race($0, writes: $0 == 5, moves: false, keeps: false) }
        return ofMove + lent + slots.map { race($0, writes: true, moves: false) }
    }

    private static var conversions: [KernelRace] {
        [ElementType.float16, .bfloat16].flatMap { type in
            [
                KernelRace("widen \(type)", 0, writes: false, type) {
                    $0.widen($1.words, type, into: $1.floats[1], count: length)
                },
                KernelRace("widen \(type)", 1, writes: true, type) {
                    $0.widen($1.words, type, into: $1.floats[1], count: length)
                },
                KernelRace("narrow \(type)", 0, writes: true, type) {
                    $0.narrow($1.floats[1], type, into: $1.words, count: length)
                },
                KernelRace("narrow \(type)", 1, writes: false, type) {
                    $0.narrow($1.floats[1], type, into: $1.words, count: length)
                },
            ]
        } + [
            KernelRace("narrowAtRandom", 0, writes: true, .bfloat16) {
                $0.narrowAtRandom($1.floats[1], into: $1.words, count: length, seed: 7, first: 0)
            },
            KernelRace("narrowAtRandom", 1, writes: false) {
                $0.narrowAtRandom($1.floats[1], into: $1.words, count: length, seed: 7, first: 0)
            },
            KernelRace("takeMasters", 0, writes: false, .bfloat16) {
                $0.takeMasters($1.floats[1], of: $1.words, .bfloat16, count: length)
            },
            KernelRace("takeMasters", 1, writes: true) {
                $0.takeMasters($1.floats[1], of: $1.words, .bfloat16, count: length)
            },
            KernelRace("narrowAtRandom float16", 0, writes: true, .float16) {
                $0.narrowAtRandom($1.floats[1], .float16, into: $1.words, count: length, seed: 7, first: 0)
            },
            KernelRace("narrowAtRandom float16", 1, writes: false) {
                $0.narrowAtRandom($1.floats[1], .float16, into: $1.words, count: length, seed: 7, first: 0)
            },
        ]
    }
}

extension KernelRace {
    private static var units: [KernelRace] {
        (0..<2).map { operand in
            KernelRace("unitMeans", operand, writes: operand == 1) {
                $0.unitMeans($1.floats[0], segments: 1, stride: length, units: length, into: $1.floats[1])
            }
        }
            + (0..<2).map { operand in
                // Each unit is clipped: its norm is 1, and half of the parameter's is less.
                KernelRace("clipUnits", operand, writes: operand == 0) {
                    $0.clipUnits(
                        $1.floats[0], stride: length, by: $1.floats[1], parameterStride: length, segments: 1,
                        units: length, factor: 0.5, minimumNorm: 0.001, epsilon: 1e-6)
                }
            }
            + (0..<2).map { operand in
                KernelRace("subtractUnitMeans", operand, writes: operand == 0) {
                    $0.subtractUnitMeans($1.floats[0], segments: 1, units: length, factor: 2, means: $1.floats[1])
                }
            }
    }

    private static var averages: [KernelRace] {
        [false, true].flatMap { replaces in
            (0..<2).map { operand in
                KernelRace("blend", operand, writes: operand == 1 || replaces) {
                    $0.blend($1.floats[0], into: $1.floats[1], count: length, weight: 0.5, replacing: replaces)
                }
            }
        } + [
            KernelRace("subtract", 0, writes: false) {
                $0.subtract($1.floats[0], from: $1.floats[1], count: length)
            },
            KernelRace("subtract", 1, writes: true) {
                $0.subtract($1.floats[0], from: $1.floats[1], count: length)
            },
        ]
            + ElementType.allCases.map { type in
                KernelRace("count \(type)", 0, writes: false, type) { _ = $0.count($1.gradient(type), below: 1) }
            }
    }
}
