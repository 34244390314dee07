import Testing

@testable import DescentCore

/// The transforms of a pipeline without the pipeline.
@Suite struct TransformChainTests {
    /// Multiplies by a factor, and does at the end what it is told.
    private struct Factor: GradientScaling {
        let name: String
        var factor: Double
        var fails = false
        var vetoes = false

        mutating func prepare(_ step: inout StepPreparation) {
            step.scale(by: factor)
            if vetoes { step.veto("as was asked for") }
        }

        mutating func finish(_ result: StepResult) throws(DescentError) {
            if fails { throw DescentError(.init("trouble"), stage: name, "as was asked for") }
            factor += 1
        }
    }

    private func chain(_ factors: Factor...) throws -> TransformChain {
        let layout = try ParameterLayout([ParameterDescription("a", shape: [2]), ParameterDescription("b", shape: [3])])
        return try PlannedPipeline(factors, of: layout).chain
    }

    /// Prepares all of a chain's transforms; gives the first reason to skip.
    private func prepare(_ chain: inout TransformChain, checksFactors: Bool = true) throws -> SkipReason? {
        var report = StepReport()
        for index in chain.transforms.indices {
            let reason = try chain.prepare(
                index, [], StepCounters(appliedSteps: 4), &report, checksFactors: checksFactors)
            if let reason { return reason }
        }
        return nil
    }

    @Test func `factors of consecutive transforms become one for each parameter`() throws {
        var chain = try chain(Factor(name: "half", factor: 0.5), Factor(name: "six", factor: 6))
        #expect(try prepare(&chain) == nil)
        chain.multiplyRunFactors()
        #expect(chain.runFactors == [3, 3])
        chain.resetFactors()
        chain.multiplyRunFactors()
        #expect(chain.runFactors == [1, 1])
    }

    @Test func `a veto and a factor that is not finite are reasons that name their transform`() throws {
        var vetoed = try chain(Factor(name: "first", factor: 1), Factor(name: "second", factor: 1, vetoes: true))
        #expect(try prepare(&vetoed)?.code == .vetoed)
        #expect(try prepare(&vetoed)?.stage == "second")
        var infinite = try chain(Factor(name: "first", factor: .infinity))
        let reason = try #require(try prepare(&infinite))
        #expect(reason.code == .nonFiniteSetting)
        #expect(reason.description == "first multiplies by inf at step 5")
        #expect(try prepare(&infinite, checksFactors: false) == nil)
    }

    @Test func `every transform is told how a step ended, though one throws`() throws {
        var chain = try chain(
            Factor(name: "first", factor: 1, fails: true), Factor(name: "second", factor: 1),
            Factor(name: "third", factor: 1, fails: true))
        #expect(chain.finish(nil, nonFinite: nil, diverged: nil, [])?.stage == "first")
        #expect(try prepare(&chain) == nil)
        chain.multiplyRunFactors()
        #expect(chain.runFactors == [2, 2])
    }

    @Test func `a bound takes in the largest factor, and the largest is named`() throws {
        var chain = try chain(Factor(name: "half", factor: 0.5), Factor(name: "minus eight", factor: -8))
        #expect(try prepare(&chain) == nil)
        #expect(chain.largestFactor(of: 1) == "minus eight")
        var small = try self.chain(Factor(name: "half", factor: 0.5))
        #expect(try prepare(&small) == nil)
        #expect(small.largestFactor(of: 0) == nil)
    }
}
