import Foundation
import Testing

@testable import DescentCore

/// The window by itself: a value that admits, rejects, closes and is rolled back to.
@Suite struct AccumulationWindowTests {
    private typealias Settings = AccumulationWindow.Settings

    private let reason = SkipReason(.vetoed, stage: "Some", "some reason")
    private let overflow = SkipReason(.nonFinite, parameter: "a", "a NaN")

    private func accumulation(
        length: Int = 3, _ reduction: AccumulationWindow.Reduction = .mean, drops: Bool = false
    ) -> Accumulation {
        Accumulation(
            name: "Accumulate", settings: Settings(length: length, reduction: reduction, dropsNonFinite: drops), slot: 7
        )
    }

    @Test func `what is admitted counts, with its weight`() {
        var window = AccumulationWindow()
        #expect(!window.isOpen)
        window.admit(weight: 2)
        window.admit(weight: 0.5)
        #expect((window.received, window.included, window.weights, window.lastWeight) == (2, 2, 2.5, 0.5))
        #expect(window.closingFactor(.mean) == 0.5)
        #expect(window.closingFactor(.sum) == 1)
        #expect(window.closingFactor(.weighted) == 0.4)
        #expect(window.factor(.weighted) == 0.5)
        #expect(window.factor(.mean) == 1)
        window.close()
        #expect(window == AccumulationWindow())
    }

    @Test func `what is rejected has been received and is not part of the sum`() {
        var window = AccumulationWindow()
        window.admit(weight: 1)
        for next in [reason, overflow] {
            let before = window
            window.admit(weight: 5)
            window.reject(next, since: before)
        }
        #expect((window.received, window.included, window.weights, window.lastWeight) == (3, 1, 1, 1))
        #expect(window.rejection == reason)
        #expect(window.overflow == overflow)
    }

    @Test func `a copy is what to roll back to`() throws {
        var window = AccumulationWindow()
        window.admit(weight: 1)
        let before = window
        window.admit(weight: 1)
        window = before
        #expect(window.received == 1)
        let written = try JSONDecoder().decode(AccumulationWindow.self, from: JSONEncoder().encode(window))
        #expect(written == window)
    }

    @Test func `settings and states that no run can have are refused`() throws {
        func refusal(_ window: AccumulationWindow, _ length: Int) -> DescentError.Code? {
            let settings = Settings(length: length, reduction: .mean, dropsNonFinite: false)
            do throws(DescentError) { try window.requireValid(settings, of: "A", in: ParameterLayout([])) } catch {
                return error.code
            }
            return nil
        }
        func window(_ json: String) throws -> AccumulationWindow {
            try JSONDecoder().decode(AccumulationWindow.self, from: Data(json.utf8))
        }
        #expect(refusal(AccumulationWindow(), 0) == .invalidSetting)
        #expect(refusal(AccumulationWindow(), 1) == nil)
        #expect(refusal(try window(#"{"received":1,"included":1,"weights":1,"lastWeight":1}"#), 2) == nil)
        #expect(refusal(try window(#"{"received":2,"included":2,"weights":2,"lastWeight":1}"#), 2) == .stateMismatch)
        #expect(refusal(try window(#"{"received":1,"included":2,"weights":1,"lastWeight":1}"#), 3) == .stateMismatch)
        #expect(refusal(try window(#"{"received":1,"included":0,"weights":0,"lastWeight":1}"#), 3) == .stateMismatch)
        #expect(refusal(try window(#"{"received":1,"included":1,"weights":-1,"lastWeight":1}"#), 3) == .stateMismatch)
        #expect(refusal(try window(#"{"received":1,"included":1,"weights":1,"lastWeight":-1}"#), 3) == .stateMismatch)
    }

    // MARK: In an engine

    @Test func `the first micro-batch overwrites the sum, later ones are added to it`() {
        var accumulation = accumulation(.weighted)
        accumulation.window.admit(weight: 3)
        #expect(accumulation.addition.sum == nil)
        #expect(accumulation.addition.destination == 7)
        #expect(accumulation.addition.factor == 3)
        accumulation.window.admit(weight: 1)
        #expect(accumulation.addition.sum == 7)
        #expect(!accumulation.isFull)
        accumulation.window.admit(weight: 1)
        #expect(accumulation.isFull)
        #expect(accumulation.microBatchName == "micro-batch 3 of 3")
    }

    @Test func `a window of nothing, or of no weight, does not become a step`() {
        var weightless = accumulation(.weighted)
        weightless.window.admit(weight: 0)
        #expect(weightless.reasonNotToClose?.code == .emptyWindow)
        var empty = accumulation(drops: true)
        let before = empty.window
        empty.window.admit(weight: 1)
        empty.window.reject(overflow, since: before)
        #expect(empty.reasonNotToClose?.code == .emptyWindow)
        #expect(empty.reasonNotToClose?.parameter == "a")
        empty.window.admit(weight: 1)
        #expect(empty.reasonNotToClose == nil)
    }

    @Test func `a sum that is spoiled says so once and for all, unless what is not finite is dropped`() {
        var accumulation = accumulation()
        accumulation.window.admit(weight: 1)
        #expect(accumulation.noteSpoiledSum(of: nil) == nil)
        accumulation.window.admit(weight: 1)
        let spoiled = accumulation.noteSpoiledSum(of: "b")
        #expect(spoiled?.parameter == "b")
        #expect(spoiled?.microBatch == 2)
        accumulation.window.admit(weight: 1)
        #expect(accumulation.noteSpoiledSum(of: nil) == spoiled)
        #expect(accumulation.reasonNotToClose == spoiled)
    }
}
