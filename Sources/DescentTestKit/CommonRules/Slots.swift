import DescentCore
import DescentSIMD

extension Rule where Subject == DescentTestKit.Subject {
    /// That a transform or an optimizer uses no slot but those that it declares.
    static var slots: Rule {
        Rule(
            title: "the slots used are declared",
            expectation: """
                Every slot that is used has its name in slots: withElementsAndSlot needs one, updateEach as many as its \
                closure has arguments for, Adam's rule two, or three with amsgrad.
                """,
            cases: { [$0.example([[4, 3], [5]], steps: 4)] },
            complaint: { subject, example in
                if let optimizer = subject.optimizer { return try complaint(about: optimizer, example) }
                var session = try Session(subject, example, on: SIMDBackend(threads: 1))
                for step in 0..<example.steps { _ = try session.step(.init(step)) }
                return session.log.uses.slot
            },
            isFundamental: true, shrinks: false)
    }

    /// Has an optimizer update blocks outside a pipeline, where nothing stops the program.
    private static func complaint(about optimizer: any Optimizer, _ example: Case) throws -> String? {
        let (layout, uses) = (try example.layout, UndeclaredUses())
        let backend = SIMDBackend(threads: 1)
        let access =
            optimizer.reach.isWholeTensors
            ? TensorAccess(
                backend, wholeTensorsOf: layout, scratchCount: layout.map(optimizer.scratchCount).max() ?? 0)
            : TensorAccess(backend, layout)
        var optimizer = optimizer
        // A layout that is refused is for another rule to object to.
        do { try optimizer.configure(for: layout) } catch { return nil }
        let parameters = access.tensors(example.parameters(of: layout))
        let slots = try optimizer.slots.map {
            access.backend.makeTensors(try Slot.layout($0.shape, of: layout), $0.elementType)
        }
        let slotAccess = SlotAccess(first: 0, count: slots.count)
        func run(_ step: Int, _ body: @Sendable (inout SIMDBlock) -> Void) {
            let gradients = access.tensors(example.gradients(step: step, of: layout))
            let sweep = Sweep(
                gradients: gradients, parameters: parameters, slots: slots,
                slotShapes: optimizer.slots.map(\.shape), handsWholeTensors: optimizer.reach.isWholeTensors,
                appliedSteps: step, blocks: access.blocks)
            access.run(sweep) { block, _ in
                block.slotAccess = slotAccess
                block.rates = UpdateRates(learningRate: 0.1, weightDecay: 0.1)
                uses.watch(&block)
                body(&block)
            }
        }
        for step in 0..<example.steps {
            optimizer.prepare(appliedSteps: step, missedSteps: [])
            run(step) { [optimizer] block in optimizer.update(&block) }
        }
        return uses.slot
    }
}
