extension Resumption {
    /// What was saved of a slot; nil where nothing was.
    func slot(_ slot: Int, of table: SlotTable) -> SavedSlot<Tensors>? {
        guard let component = table.ofComponents.firstIndex(where: { $0.contains(slot) }) else { return nil }
        return saved[component]?.slots.first { $0.name == table.ownNames[slot] }
    }

    /// For each slot, the tensors that it goes on with as they are; nil for others.
    func slots(for table: SlotTable) -> [Tensors?] {
        table.names.indices.map { index in
            guard let saved = slot(index, of: table), saved.tensors.layout.elementsEqual(table.layouts[index]) else {
                return nil
            }
            return saved.tensors
        }
    }
}
