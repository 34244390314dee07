import Descent
import DescentCore
import TestSupport
import Testing

/// What holds for every chain, shown on random ones; a failure names its seed as the argument.
@Suite struct PropertyTests {
    private func backend(threads: Int, _ instructionSet: InstructionSet = .preferred) -> SIMDBackend {
        SIMDBackend(threads: threads, blockLength: 24, elementsPerThread: 16, instructionSet: instructionSet)
    }

    private func difference(_ found: [[Float]], _ expected: [[Float]]) -> Double {
        largestDifference(found.joined(), expected.joined())
    }

    private func norm(_ tensors: TensorSet, _ norm: Norm) -> Double {
        var combiner = Norm.Combiner(norm)
        for value in tensors.arrays.joined() { combiner.add(Double(value.magnitude)) }
        return combiner.value
    }

    // MARK: Backends

    /// What is comparable of an outcome.
    private func summary(_ outcome: StepOutcome) -> String {
        switch outcome {
        case .accumulated(let window): "\(window.received) of \(window.length), \(window.included) included"
        case .applied(let report): "applied \(report.norms.map { [$0.stage, $0.group ?? ""] }) \(report.counts)"
        case .diverged(let divergence): "diverged \(divergence.parameter)"
        case .skipped(let reason): "skipped \(reason.code), \(reason.parameter ?? ""), \(reason.stage ?? "")"
        }
    }

    @Test(arguments: 0..<150 as Range<UInt64>) func `the SIMD backend does what the plain defaults say`(
        _ seed: UInt64
    ) throws {
        let test = try RandomCase(seed: seed)
        var fast = TensorSet.random(test.layout, seed: seed)
        var plain = PlainTensors(fast)
        var fastPipeline = try Pipeline(for: fast, on: backend(threads: 2)) {
            test.stages
        } driving: {
            test.optimizer
        }
        var plainPipeline = try GradientPipeline(for: plain, on: PlainBackend()) {
            test.stages
        } driving: {
            test.optimizer
        }
        for step in 0..<6 as Range<UInt64> {
            let gradients = test.gradients(seed: seed &* 100 &+ step, spoiled: true)
            let weight = Double(step + 1)
            let outcome = try fastPipeline.step(&fast, gradients: gradients, weight: weight)
            let expected = try plainPipeline.step(&plain, gradients: PlainTensors(gradients), weight: weight)
            #expect(summary(outcome) == summary(expected), "step \(step) of \(test.description)")
            // Single precision, a handful of stages, and norms that are summed in another order.
            #expect(difference(fast.arrays, plain.values) <= 2e-5, "step \(step) of \(test.description)")
            if case .applied(let report) = outcome, case .applied(let expected) = expected {
                #expect(report.norms.count == expected.norms.count, "step \(step) of \(test.description)")
                for (record, expected) in zip(report.norms, expected.norms) {
                    #expect(abs(record.before - expected.before) <= 2e-5 * max(1, expected.before))
                }
            }
        }
        for name in fastPipeline.slotNames {
            let fast = try #require(fastPipeline.slot(named: name)).arrays
            let plain = try #require(plainPipeline.slot(named: name)).values
            // A window that was spoiled keeps what spoiled it until the next overwrites it.
            func finite(_ arrays: [[Float]]) -> [[Float]] { arrays.map { $0.map { $0.isFinite ? $0 : 0 } } }
            #expect(fast.map { $0.map(\.isFinite) } == plain.map { $0.map(\.isFinite) })
            #expect(difference(finite(fast), finite(plain)) <= 2e-5, "\(name) of \(test.description)")
        }
    }

    @Test(arguments: 200..<260 as Range<UInt64>)
    func `any number of threads and every instruction set give the same bits`(
        _ seed: UInt64
    ) throws {
        let test = try RandomCase(seed: seed)
        let levels = InstructionSet.allCases.filter(\.isAvailable).map { backend(threads: 1, $0) }
        let trained = try ([backend(threads: 2), backend(threads: 8)] + levels).map { backend in
            var parameters = TensorSet.random(test.layout, seed: seed).pruned(seed: seed)
            var pipeline = try Pipeline(for: parameters, on: backend) {
                test.stages
            } driving: {
                test.optimizer
            }
            for step in 0..<4 as Range<UInt64> {
                let gradients = test.gradients(seed: seed &+ step, spoiled: true).pruned(seed: seed &+ step)
                _ = try pipeline.step(&parameters, gradients: gradients)
            }
            return try pipeline.slotNames.reduce(parameters.bits) {
                try $0
                    + #require(pipeline.slot(named: $1)).arrays.joined().map { $0.isNaN ? 0x7fc0_0000 : $0.bitPattern }
            }
        }
        #expect(trained.allSatisfy { $0 == trained[0] }, "\(test.description)")
    }

    @Test(arguments: 300..<360 as Range<UInt64>) func `a chain alone gives what an optimizer at its end is given`(
        _ seed: UInt64
    ) throws {
        let test = try RandomCase(seed: seed)
        var chain = try Chain(for: test.layout, on: backend(threads: 2)) { test.stages }
        var pipeline = try Pipeline(for: TensorSet(zeros: test.layout), on: backend(threads: 1)) {
            test.stages
        } driving: {
            SGD(learningRate: 1)
        }
        for step in 0..<4 as Range<UInt64> {
            // Steps start from zero, and so do the parameters that stages see.
            var parameters = TensorSet(zeros: test.layout)
            var gradients = test.gradients(seed: seed &* 100 &+ step)
            var transformed = gradients
            let outcome = try chain.transform(&transformed, parameters: parameters)
            #expect(try pipeline.step(&parameters, gradients: gradients).isApplied == outcome.isApplied)
            let frozen = test.layout.map { parameter in
                test.stages.contains { ($0 as? Freeze)?.selection.contains(parameter) == true }
            }
            for (parameter, frozen) in zip(test.layout, frozen) where frozen || !outcome.isApplied {
                gradients[parameter.name] = parameters[parameter.name].map { -$0 }
                transformed[parameter.name] = gradients[parameter.name]
            }
            #expect(transformed.arrays == parameters.arrays.map { $0.map { -$0 } }, "\(test.description)")
        }
    }

    // MARK: Stages

    @Test(arguments: 400..<460 as Range<UInt64>) func `a norm that was clipped is at most its maximum`(
        _ seed: UInt64
    ) throws {
        let test = try RandomCase(seed: seed)
        let kind = [Norm.l2, .l1, .lInfinity, .lp(3), .lp(0.7)][Int(seed % 5)]
        var generator = SeededGenerator(seed: seed)
        let maximum = Float.random(in: 0.01...3, using: &generator)
        var chain = try Chain(for: test.layout, on: backend(threads: 1)) {
            test.stages.filter { !($0 is Freeze) }
            ClipByGlobalNorm(maximum, norm: kind)
        }
        for step in 0..<12 as Range<UInt64> where chain.appliedSteps < 3 {
            var gradients = test.gradients(seed: seed &+ step)
            let parameters = TensorSet.random(test.layout, seed: seed)
            guard case .applied(let report) = try chain.transform(&gradients, parameters: parameters) else { continue }
            let after = norm(gradients, kind)
            #expect(after <= Double(maximum) * 1.00001, "\(test.description)")
            let record = try #require(report.norms.last)
            #expect(abs(Double(record.after) - after) <= 1e-5 * after + 1e-7, "\(test.description)")
        }
        #expect(chain.appliedSteps > 0, "\(test.description)")
    }

    @Test(arguments: 500..<540 as Range<UInt64>) func `rows that were centered sum to about 0`(_ seed: UInt64) throws {
        let test = try RandomCase(seed: seed)
        var chain = try Chain(for: test.layout, on: backend(threads: 1)) {
            test.stages.filter { !($0 is Freeze) }
            Centralize()
        }
        var gradients = test.gradients(seed: seed)
        let parameters = TensorSet.random(test.layout, seed: seed)
        while try !chain.transform(&gradients, parameters: parameters).isApplied {}
        for parameter in test.layout where parameter.rank > 1 && parameter.count > 0 {
            let values = gradients[parameter.name]
            let (rows, columns) = (parameter.rowCount, parameter.columnCount)
            for row in 0..<rows {
                let row = (0..<columns).map {
                    values[parameter.outputAxis == .last ? $0 * rows + row : row * columns + $0]
                }
                let size = row.reduce(0) { $0 + abs($1) }
                #expect(abs(row.reduce(0, +)) <= 1e-5 * max(1, size), "\(parameter.name) of \(test.description)")
            }
        }
    }

    @Test(arguments: 600..<640 as Range<UInt64>) func `clipping twice is clipping once`(_ seed: UInt64) throws {
        let test = try RandomCase(seed: seed)
        var generator = SeededGenerator(seed: seed)
        let limit = Float.random(in: 0.02...2, using: &generator)
        let parameters = TensorSet.random(test.layout, seed: seed)
        for clip: any GradientTransform in [
            ClipByValue(limit), ClipByNorm(limit), ClipByGlobalNorm(limit), ClipByGlobalNorm(limit, norm: .l1),
            ClipByGlobalNorm(limit, norm: .lInfinity), ClipLayerwise(default: limit), ClipAdaptively(factor: limit),
            ClipByNorm(limit).only { $0.rank != 1 || $0.name == "last.bias" },
        ] {
            let clipped = try [1, 2].map { times in
                var gradients = test.gradients(seed: seed)
                var chain = try Chain(for: test.layout, on: backend(threads: 1)) {
                    Scale(by: 2)
                    for _ in 0..<times { clip }
                }
                _ = try chain.transform(&gradients, parameters: parameters)
                return gradients.arrays
            }
            #expect(difference(clipped[1], clipped[0]) <= 1e-5, "\(clip.name)")
        }
    }

    @Test(arguments: 700..<740 as Range<UInt64>) func `a window of equal micro-batches is one of them`(
        _ seed: UInt64
    ) throws {
        let test = try RandomCase(seed: seed)
        let accumulating = test.stages.firstIndex { $0 is Accumulate } ?? -1
        let behind = Array(test.stages[(accumulating + 1)...])
        let steps = Int(2 + seed % 4)
        for reduction in [Accumulate.Reduction.mean, .weighted] {
            let trained = try [1, steps].map { steps in
                var parameters = TensorSet.random(test.layout, seed: seed)
                var pipeline = try Pipeline(for: parameters, on: backend(threads: 1)) {
                    Accumulate(steps: steps, reduction: reduction)
                    behind
                } driving: {
                    test.optimizer
                }
                for step in 0..<3 * steps {
                    let gradients = test.gradients(seed: seed &+ UInt64(step / steps))
                    _ = try pipeline.step(&parameters, gradients: gradients, weight: Double(step % steps + 1))
                }
                #expect(pipeline.appliedSteps == 3)
                return parameters.arrays
            }
            #expect(difference(trained[1], trained[0]) <= 2e-5, "\(steps) of \(test.description)")
        }
    }
}
