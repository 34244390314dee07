import Descent
import DescentCore
import TestSupport
import Testing

/// How many sweeps a chain takes, and what they read.
@Suite struct PlanTests {
    static let shapes = [[6, 5], [6], [3, 4, 2], [3]]

    private func makePipeline(
        nonFinite: NonFinitePolicy = .skip, @ChainBuilder _ stages: () -> [any Stage],
        driving optimizer: () -> any Driving = { AdamW() }
    ) throws -> (GradientPipeline<PlainBackend>, TrafficLog, PlainTensors, PlainTensors) {
        let layout = try makeLayout(Self.shapes)
        let backend = PlainBackend()
        let parameters = PlainTensors(.random(layout, seed: 1))
        let gradients = PlainTensors(.random(layout, seed: 2))
        let pipeline = try GradientPipeline(
            for: parameters, configuration: .init(nonFinite: nonFinite), on: backend, stages,
            driving: { optimizer() })
        return (pipeline, backend.log, parameters, gradients)
    }

    @Test func `unscale, centralize and three norm clips take two sweeps, each over every element once`() throws {
        var (pipeline, log, parameters, gradients) = try makePipeline {
            Unscale(.static(8))
            Centralize()
            ClipByNorm(0.5)
            ClipLayerwise(default: 0.4)
            ClipByGlobalNorm(0.3)
        }
        for _ in 0..<3 {
            #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
            #expect(log.take() == .init(sweeps: 2, elementsVisited: 2 * parameters.layout.elementCount))
        }
        #expect(pipeline.sweepCount == 2)
    }

    @Test func `a chain without norms that lets non-finite gradients pass takes one sweep`() throws {
        var (pipeline, log, parameters, gradients) = try makePipeline(nonFinite: .propagate) {
            Scale(by: 0.5)
            Centralize()
            ClipByValue(0.1)
        }
        #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
        #expect(log.take() == .init(sweeps: 1, elementsVisited: parameters.layout.elementCount))
    }

    @Test func `the check for non-finite gradients costs one sweep where nothing is measured, otherwise none`() throws {
        #expect(try makePipeline {}.0.sweepCount == 2)
        #expect(try makePipeline(nonFinite: .propagate) {}.0.sweepCount == 1)
        #expect(try makePipeline { ClipByGlobalNorm(1) }.0.sweepCount == 2)
        #expect(try makePipeline(nonFinite: .propagate) { ClipByGlobalNorm(1) }.0.sweepCount == 2)
    }

    @Test func `a stage that is not linear between two norms that depend on each other takes a third sweep`() throws {
        let chain = try makePipeline {
            ClipByGlobalNorm(1)
            ClipByValue(0.1)
            ClipByGlobalNorm(0.5)
        }
        #expect(chain.0.sweepCount == 3)
        let known = try makePipeline {
            Scale(by: 2)
            ClipByValue(0.1)
            ClipByGlobalNorm(0.5)
        }
        #expect(known.0.sweepCount == 2)
    }

    @Test func `accumulation is fused with measuring, and an open window takes one sweep`() throws {
        var (pipeline, log, parameters, gradients) = try makePipeline {
            Accumulate(steps: 3)
            Unscale(.static(8))
            ClipByGlobalNorm(1)
        }
        var sweeps: [Int] = []
        for _ in 0..<6 {
            _ = try pipeline.step(&parameters, gradients: gradients)
            sweeps.append(log.take().sweeps)
        }
        #expect(sweeps == [1, 1, 2, 1, 1, 2])
    }

    @Test func `the explanation names sweeps, stages, what is measured and what is read`() throws {
        let pipeline = try makePipeline {
            Accumulate(steps: 4)
            Unscale()
            Centralize()
            ClipByGlobalNorm(1)
        }.0
        let text = pipeline.explain()
        for part in [
            "sweep 1", "sweep 2", "Accumulate(steps: 4, mean)", "measure L2 norms for ClipByGlobalNorm(1.0)",
            "AdamW updates", "reads 16 B for each element: Accumulate(steps: 4, mean).sum, parameter", "first moment",
            "4 parameters, 63 elements", "A micro-batch that closes its window: 2 sweeps",
        ] {
            #expect(text.contains(part), "no \"\(part)\" in:\n\(text)")
        }
        #expect(!text.contains("sweep 3"))
    }
}
