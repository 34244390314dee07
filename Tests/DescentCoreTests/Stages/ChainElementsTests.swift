import DescentOptimizers
import DescentTransforms
import Testing

@testable import DescentCore

/// A chain sorted into what it is made of, and whose slots are whose.
@Suite struct ChainElementsTests {
    private struct Exchange: GradientExchange {
        var order = StageOrder(expects: [.window, .local], leaves: [.reduced])
        let exchanged = ExchangedValues.gradients
    }

    /// Gathers micro-batches, and says nothing of the order in which it has to stand.
    private struct Window: Stage {
        let element = ChainElement.window(.init(length: 2, reduction: .mean, dropsNonFinite: false))
    }

    /// Keeps two buffers.
    private struct Keeper: GradientTransform {
        var slots: [Slot] { ["first", Slot("second", .bfloat16)] }
        func transform(_ block: inout some GradientBlock) {}
    }

    /// Has a slot of the name that an average has.
    private struct NamedAverage: Optimizer {
        let learningRate: Schedule = 1
        var slots: [Slot] { ["average"] }
        func update(_ block: inout some UpdateBlock) {}
    }

    private func error(_ stages: any Stage...) -> DescentError? {
        do throws(DescentError) { try ChainElements(stages).requireExchangeInOrder() } catch { return error }
        return nil
    }

    @Test func `stages are sorted by what they are`() throws {
        let elements = try ChainElements([
            Freeze(prefix: "a"), Centralize(), Accumulate(steps: 2), Exchange(), Keeper(), Freeze(prefix: "b"),
        ])
        #expect(elements.transforms.map(\.name) == ["Centralize", "Keeper"])
        #expect(elements.transformPositions == [1, 4])
        #expect(elements.window?.position == 2)
        #expect(elements.window?.transformsBefore == 1)
        #expect(elements.exchange?.position == 3)
        #expect(elements.freezes.map(\.position) == [0, 5])
    }

    @Test func `a second window and a second exchange are refused, whatever order they declare`() {
        #expect(error(Accumulate(steps: 2), Accumulate(steps: 2))?.code == .stageOrder)
        #expect(error(Window(), Window())?.message.contains("has one of them at most") == true)
        #expect(error(Exchange(), Exchange())?.code == .stageOrder)
        #expect(error(Window(), Exchange(order: .anywhere), Exchange(order: .anywhere))?.code == .stageOrder)
        #expect(error(Accumulate(steps: 2), Freeze(prefix: "a"), Exchange(), Centralize()) == nil)
    }

    @Test func `a transform between a window and the exchange is refused with the right order`() {
        let error = error(Accumulate(steps: 2), Centralize(), Exchange())
        #expect(error?.code == .stageOrder)
        #expect(error?.message.contains("Accumulate(steps: 2, mean), Exchange, Centralize.") == true)
    }

    @Test func `slots of two stages of a type are told apart, and come in the order of the chain`() throws {
        let layout = try ParameterLayout([ParameterDescription("a", shape: [2])])
        let table = try PlannedPipeline([Keeper(), Accumulate(steps: 2), Keeper()], AdamW().branches, of: layout).slots
        #expect(
            table.names == [
                "Keeper.first", "Keeper.second", "Accumulate(steps: 2, mean).sum", "Keeper#2.first", "Keeper#2.second",
                "AdamW.first moment", "AdamW.second moment",
            ])
        #expect(table.ofStations == [0..<2, 3..<5, 5..<7])
        #expect(table.ofWindow == 2)
        #expect(table.ofComponents == [0..<2, 2..<3, 3..<5, 5..<7])
        #expect(table.types[1] == .bfloat16)
    }

    @Test func `the average is what its owner keeps as one, whatever it is called`() throws {
        func averages(_ driving: any Driving) throws -> [Int?] {
            let layout = try ParameterLayout([ParameterDescription("a", shape: [2])])
            return try PlannedPipeline([], driving.branches, of: layout).slots.parameterAverages
        }
        #expect(try averages(NamedAverage()) == [nil])
        #expect(try averages(NamedAverage().averagingParameters(decay: 0.5).lookingAhead()) == [1])
        #expect(
            try averages(SGD(learningRate: 1, momentum: 0.5).lookingAhead().averagingParameters(decay: 0.5)) == [2])
    }
}
