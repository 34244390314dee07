import Descent
import TestSupport
import Testing

@testable import DescentCore

/// Groups that have settings of their own, and learning rates as they are resolved in a step.
@Suite struct OptimizerGroupTests {
    private let layout: ParameterLayout

    init() throws {
        layout = try ParameterLayout([
            ParameterDescription("body.weight", shape: [5, 7]), ParameterDescription("body.bias", shape: [5]),
            ParameterDescription("head.weight", shape: [3, 6], outputAxis: .last),
            ParameterDescription("head.bias", shape: [6]),
        ])
    }

    /// Trains from the same parameters with the same gradients.
    private func train(_ optimizer: any Driving) throws -> TensorSet {
        var parameters = TensorSet.random(layout, seed: 1)
        let backend = SIMDBackend(threads: 2, blockLength: 16, elementsPerThread: 8)
        var pipeline = try Pipeline(for: parameters, on: backend) {
        } driving: {
            optimizer
        }
        for step in 0..<6 as Range<UInt64> {
            #expect(try pipeline.step(&parameters, gradients: .random(layout, seed: step + 2)).isApplied)
        }
        return parameters
    }

    private func error(_ optimizer: any Driving) -> DescentError? {
        #expect(throws: DescentError.self) {
            try Pipeline(for: TensorSet(zeros: layout)) {
            } driving: {
                optimizer
            }
        }
    }

    @Test func `a group's settings are those of an optimizer that has them`() throws {
        let pairs: [(any Driving, any Driving)] = [
            (
                SGD(learningRate: 0.1, groups: [.named(prefix: "head.").setting(momentum: 0.9, nesterov: true)]),
                SGD(learningRate: 0.1, momentum: 0.9, nesterov: true)
            ),
            (
                SGD(learningRate: 0.1, momentum: 0.5, groups: [.named(prefix: "head.").setting(dampening: 0.5)]),
                SGD(learningRate: 0.1, momentum: 0.5, dampening: 0.5)
            ),
            (
                AdamW(groups: [.named(prefix: "head.", learningRate: 0.1).setting(beta1: 0.5, epsilon: 0.1)]),
                AdamW(learningRate: 0.1, beta1: 0.5, epsilon: 0.1)
            ),
            (
                Adam(groups: [.named(prefix: "head.").setting(maximize: true, beta2: 0.5)]),
                Adam(beta2: 0.5, maximize: true)
            ),
            (
                RMSProp(groups: [.named(prefix: "head.").setting(momentum: 0.5, alpha: 0.5, epsilon: 0.1)]),
                RMSProp(alpha: 0.5, epsilon: 0.1, momentum: 0.5)
            ),
            (
                RMSProp(momentum: 0.5, centered: true, groups: [.named(prefix: "head.").setting(maximize: true)]),
                RMSProp(momentum: 0.5, centered: true, maximize: true)
            ),
            (
                Adagrad(groups: [.named(prefix: "head.").setting(epsilon: 0.1, learningRateDecay: 0.5)]),
                Adagrad(learningRateDecay: 0.5, epsilon: 0.1)
            ),
            (Lion(groups: [.named(prefix: "head.").setting(beta1: 0.1, beta2: 0.2)]), Lion(beta1: 0.1, beta2: 0.2)),
            (LAMB(groups: [.named(prefix: "head.").setting(beta1: 0.1, epsilon: 0.1)]), LAMB(beta1: 0.1, epsilon: 0.1)),
        ]
        let usual: [any Driving] = [
            SGD(learningRate: 0.1), SGD(learningRate: 0.1, momentum: 0.5), AdamW(), Adam(), RMSProp(),
            RMSProp(momentum: 0.5, centered: true), Adagrad(), Lion(), LAMB(),
        ]
        for ((grouped, own), usual) in zip(pairs, usual) {
            let (grouped, own, usual) = (try train(grouped), try train(own), try train(usual))
            for (parameter, (found, expected)) in zip(layout, zip(grouped.arrays, own.arrays))
            where parameter.name.hasPrefix("head.") {
                #expect(found == expected, "\(parameter.name)")
                #expect(found != usual[parameter.name], "\(parameter.name)")
            }
            for parameter in layout where parameter.name.hasPrefix("body.") {
                #expect(grouped[parameter.name] == usual[parameter.name], "\(parameter.name)")
            }
        }
    }

    @Test func `of several groups, the last that gives a setting is followed`() throws {
        let groups: [ParameterGroup] = [
            .named(prefix: "head.").setting(beta1: 0.5, beta2: 0.5), .rank(1...1).setting(beta1: 0.25),
        ]
        let found = try train(AdamW(groups: groups))
        #expect(try found["head.bias"] == train(AdamW(beta1: 0.25, beta2: 0.5))["head.bias"])
        #expect(try found["head.weight"] == train(AdamW(beta1: 0.5, beta2: 0.5))["head.weight"])
        #expect(try found["body.bias"] == train(AdamW(beta1: 0.25))["body.bias"])
        #expect(try found["body.weight"] == train(AdamW())["body.weight"])
    }

    @Test func `a group's settings are checked, and one that the optimizer has not got is named`() throws {
        let wrong = error(AdamW(groups: [.named(prefix: "head.").setting(beta2: 1)]))
        #expect(wrong?.code == .invalidSetting)
        #expect(wrong?.message == "AdamW, group named head.*: beta2 is 1.0; it has to lie in 0..<1.")
        let missing = error(Lion(groups: [.rank(0...1).setting(momentum: 0.5)]).lookingAhead())
        #expect(missing?.code == .invalidSetting)
        #expect(
            missing?.message == """
                Lion, group rank 0 to 1: Lion has no momentum that a group could set; its groups can set learningRate, \
                weightDecay, beta1, beta2, maximize.
                """)
        for refused: any Driving in [
            SGD(learningRate: 1, groups: [.rank(0...4).setting(momentum: -1)]),
            SGD(learningRate: 1, groups: [.rank(0...4).setting(nesterov: true)]),
            SGD(learningRate: 1, groups: [.rank(0...4).setting(beta1: 0.9)]),
            RMSProp(groups: [.rank(0...4).setting(alpha: 1)]), RMSProp(groups: [.rank(0...4).setting(beta1: 0.9)]),
            Adagrad(groups: [.rank(0...4).setting(learningRateDecay: -1)]),
            Adam(groups: [.rank(0...4).setting(epsilon: -1)]), LAMB(groups: [.rank(0...4).setting(beta1: .nan)]),
        ] {
            #expect(error(refused)?.code == .invalidSetting, "\(refused)")
        }
    }

    @Test(arguments: [
        (#"{"optimizer": "AdamW", "learningRate": 1e300}"#, "1e+300; it has to be a finite number in float32."),
        (
            #"{"optimizer": "SGD", "learningRate": {"exponential": {"initial": 1e39, "rate": 1, "transitionSteps": 1}}}"#,
            "initial in the schedule of learningRate is 1e+39"
        ),
        (
            #"{"optimizer": "AdamW", "groups": [{"rank": [0, 4], "learningRate": 1e300}]}"#,
            "group rank 0 to 4: learningRate"
        ),
        (#"{"optimizer": "AdamW", "groups": [{"rank": [0, 4], "momentum": 0.5}]}"#, "AdamW has no momentum"),
        (#"{"optimizer": "AdamW", "groups": [{"rank": [0, 4], "beta2": 1}]}"#, "beta2 is 1.0"),
        (#"{"optimizer": "AdamW", "groups": [{"rank": [0, 4], "beta3": 1}]}"#, #"did you mean "beta1"?"#),
        (#"{"optimizer": "SGD", "learningRate": 1, "momentum": 1e300}"#, "momentum is 1e+300"),
        (#"{"optimizer": "AdamW", "weightDecay": 1e300}"#, "weightDecay"),
    ]) func `settings in a document are checked as what they become`(_ optimizer: String, _ expected: String) throws {
        let error = #expect(throws: DescentError.self) {
            let description = try PipelineDescription(parsing: #"{"optimizer": \#(optimizer)}"#)
            _ = try Pipeline(for: TensorSet(zeros: layout), description)
        }
        #expect(error?.message.contains(expected) == true, "\(error?.message ?? "")")
    }

    // MARK: Rates

    @Test func `a rate that is not finite is named with its owner, its step and its value`() throws {
        let optimizer = AdamW(
            learningRate: .custom("falls off") { $0 < 3 ? 1 : .nan },
            groups: [.named(prefix: "head.", learningRate: .exponential(initial: 1, rate: 1e20, transitionSteps: 1))])
        var rates = try ResolvedRates(optimizer, layout: layout)
        #expect(rates.resolve(appliedSteps: 1) == nil)
        #expect(
            rates.resolve(appliedSteps: 2)
                == "the learning rate of AdamW, group named head.* is inf after 2 applied steps")
        #expect(rates.resolve(appliedSteps: 3) == "the learning rate of AdamW is nan after 3 applied steps")
        // A schedule that no parameter follows says nothing.
        var unused = try ResolvedRates(
            SGD(learningRate: .custom("never") { _ in .infinity }, groups: [.rank(0...4, learningRate: 1)]),
            layout: layout)
        #expect(unused.resolve(appliedSteps: 0) == nil)
    }
}
