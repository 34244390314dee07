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
        let access = TensorAccess(SIMDBackend(threads: 1), layout)
        var optimizer = optimizer
        // A layout that is refused is for another rule to object to.
        do { try optimizer.configure(for: layout) } catch { return nil }
        let parameters = access.tensors(example.parameters(of: layout))
        let slots = try optimizer.slots.map {
            access.backend.makeTensors(try Slot.layout($0.shape, of: layout), $0.elementType)
        }
        let (shapes, isWhole) = (optimizer.slots.map(\.shape), optimizer.reach.isWholeTensors)
        let blocks = isWhole ? wholeTensors(of: layout) : access.blocks
        let workspace =
            isWhole
            ? access.backend.makeWorkspace(
                for: layout, tensors: blocks, scratchCount: layout.map { optimizer.scratchCount(for: $0) }.max() ?? 0)
            : access.backend.makeWorkspace(for: layout, blocks: blocks)
        let slotAccess = SlotAccess(first: 0, count: slots.count)
        func run(_ step: Int, _ body: @Sendable (inout SIMDBlock) -> Void) {
            let gradients = access.tensors(example.gradients(step: step, of: layout))
            let sweep = Sweep(
                gradients: gradients, parameters: parameters, slots: slots, slotShapes: shapes,
                handsWholeTensors: isWhole, appliedSteps: step, blocks: blocks)
            access.backend.run(sweep, in: workspace) { block, _ in
                block.slotAccess = slotAccess
                block.rates = UpdateRates(learningRate: 0.1, weightDecay: 0.1)
                uses.watch(&block)
                body(&block)
            }
        }
        for step in 0..<example.steps {
            optimizer.prepare(appliedSteps: step)
            run(step) { [optimizer] block in optimizer.update(&block) }
        }
        return uses.slot
    }

    /// A block for each tensor that has elements.
    private static func wholeTensors(of layout: ParameterLayout) -> [BlockExtent] {
        var firstRow = 0
        return layout.indices.filter { layout[$0].count > 0 }.map { index in
            defer { if layout[index].rank > 1 { firstRow += layout[index].rowCount } }
            return BlockExtent(parameterIndex: index, rows: 0..<layout[index].rowCount, firstRow: firstRow)
        }
    }
}
