import Descent
import TestSupport
import Testing

@testable import DescentTestKit

/// Each rule of the kit catches what breaks it.
@Suite struct RuleTests {
    typealias Subject = DescentTestKit.Subject

    static let transforms: [(rule: Rule<Subject>, transform: any GradientTransform)] = [
        (.building, RefusesScalars()), (.slots, SmoothsIntoNothing()),
        (.statistics, ReadsUndeclared()), (.statistics, DeclaresTooMuch()),
        (.parameters, ReadsParameters()), (.parameters, ChangesParameters()), (.measuring, HalvesWhatItMeasures()),
        (.measuring, TakesABlockForATensor()), (.copies, SharesState()),
        (.copies, DrawsAtRandom()), (.threads, CountsBlocks()), (.blockSizes, SubtractsBlockMean()),
        (.tensorOrder, HalvesEverySecond()), (.streaming, ReadsParameters()), (.sweeps, CountsSweeps()),
        (.shapes, DividesByColumns()), (.magnitudes, DividesByNorm()), (.nonFinite, HidesNaN()),
        (.nonFinite, RepairsNaNAlone()), (.scaling, ScalesAndSquashes()), (.factors, SquashesAndScales()),
        (.linearity, ClampsLinearly()),
        (.linearity, SelectsLinearly()), (.vetoes, CountsInPrepare()), (.vetoes, LearnsInPrepare()),
        (.continuation, ForgetsToSave()), (.otherBackend, KnowsOneBackend()),
        (.allocations, MakesArrays()),
    ]

    static let optimizers: [(rule: Rule<Subject>, optimizer: any Driving)] = [
        (.slots, ForgetsItsSlots()), (.building, RefusesVectors()),
        (.copies, SharesCount()), (.directions, GoesAnotherWay()), (.threads, NumbersBlocks()),
        (.blockSizes, NormalizesBlocks()), (.tensorOrder, PrefersTheFirst()), (.shapes, DividesRates()),
        (.magnitudes, DividesByRoot()), (.continuation, CountsForItself()), (.allocations, MakesArraysOfRates()),
    ]

    static let backends: [(rule: Rule<BackendSubject<FaultyBackend>>, fault: FaultyBackend.Fault)] = [
        (.cut(), .losesATensor), (.visits(), .ignoresTheRange), (.elements(), .keepsWhatWasLent),
        (.storage(), .storesFloatsAlone), (.operations(), .clampsNaN), (.operations(), .forgetsTheGradient),
        (.norms(), .overflowsInNorms), (.storedParameters(), .forgetsMasters),
        (.training(), .losesTheSecondSweep), (.backendThreads(), .dependsOnThreads), (.backendAllocations(), .none),
    ]

    @Test func `every rule of transforms has one that breaks it`() {
        #expect(Set(Rules.ofTransforms.map(\.title)) == Set(Self.transforms.map(\.rule.title)))
    }

    @Test(arguments: transforms.indices) func `a rule catches a transform that breaks it`(_ index: Int) throws {
        let (rule, transform) = Self.transforms[index]
        var subject = Subject(transform, [], parameterNames: defaultParameterNames)
        if transform is KnowsOneBackend { subject.backend = PlainBackend() }
        try expect(rule, toCatch: subject)
    }

    @Test(arguments: optimizers.indices) func `a rule catches an optimizer that breaks it`(_ index: Int) throws {
        let (rule, optimizer) = Self.optimizers[index]
        try expect(rule, toCatch: Subject(optimizer, [], parameterNames: defaultParameterNames))
    }

    @Test func `every rule of backends has one that breaks it`() {
        let rules: [Rule<BackendSubject<FaultyBackend>>] = Rules.ofBackends()
        #expect(Set(rules.map(\.title)) == Set(Self.backends.map(\.rule.title)))
    }

    @Test(arguments: backends.indices) func `a rule catches a backend that breaks it`(_ index: Int) {
        let (rule, fault) = Self.backends[index]
        // Where allocations cannot be counted, nothing can be said about them.
        if fault == .none, !AllocationCount.areCounted { return }
        let subject = BackendSubject(backend: FaultyBackend(fault), declarations: []) {
            FaultyBackend(fault, threads: $0)
        }
        #expect(rule.violation(by: subject)?.rule == rule.title)
    }

    private func expect(_ rule: Rule<Subject>, toCatch subject: Subject) throws {
        // Where allocations cannot be counted, nothing can be said about them.
        if rule.title == Rule<Subject>.allocations.title, !AllocationCount.areCounted { return }
        let violation = try #require(rule.violation(by: subject), "\(subject.name) is not caught")
        #expect(violation.rule == rule.title)
        let all = Rules.violations(of: subject)
        // A rule that others rest on may have ended the search before.
        #expect(all.contains { $0.rule == rule.title } || subject.transform is ReadsParameters, "\(all)")
    }

    @Test func `an issue names the stage, what was expected and the smallest case, at the author's line`() {
        let here = SourceLocation(fileID: "GradientNoise/Tests.swift", filePath: "Tests.swift", line: 12, column: 5)
        withKnownIssue {
            verify(SubtractsBlockMean(), sourceLocation: here)
        } matching: { issue in
            let text = issue.comments.map(\.rawValue).joined()
            return issue.sourceLocation == here
                && text.hasPrefix("SubtractsBlockMean breaks the rule: whole tensors and small blocks give the same.")
                && text.contains("A block is some rows of a tensor, and not the tensor")
                && text.contains("Smallest case: 1 step with gradients (of the first step) \"head.weight2\" [2] = [")
        }
    }

    @Test func `allocations are counted wherever they can be`() {
        #expect(AllocationCount.areCounted == Sanitizer.leavesAllocationsToCount)
    }

    @Test func `what is used without being declared is a broken rule, and the test run goes on`() {
        for (rule, expected) in [
            (Rules.violations(of: subject(SmoothsIntoNothing())), "it uses slot 0, which it does not declare"),
            (Rules.violations(of: subject(ReadsParameters())), "it uses the parameters, which it does not declare"),
            (
                Rules.violations(of: Subject(ForgetsItsSlots(), [], parameterNames: defaultParameterNames)),
                "it uses slot 1, which it does not declare"
            ),
        ] {
            #expect(rule.contains { $0.finding.hasPrefix(expected) }, "\(rule)")
        }
    }

    private func subject(_ transform: some GradientTransform) -> Subject {
        Subject(transform, [], parameterNames: defaultParameterNames)
    }

    @Test func `what is declared is not objected to`() {
        verify(HidesNaN(), declaring: .hidesNaN)
        verify(DividesByNorm(), declaring: .makesNaN)
        verify(HalvesEverySecond(), declaring: .dependsOnTensorOrder)
        verify(MakesArrays(), declaring: .allocates)
    }
}
