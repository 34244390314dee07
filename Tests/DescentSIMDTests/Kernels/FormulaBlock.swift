import DescentCore

/// A block of one segment in which optimizers' own formulas are carried out.
///
/// What its gradient is multiplied by before the first access has been seen to already.
struct FormulaBlock: UpdateBlock {
    let parameterIndex = 0
    let firstRow = 0
    let rank = 2
    let rowCount = 1
    var columnCount: Int { gradient.count }
    var slotAccess: SlotAccess
    var rates: UpdateRates
    let gradient: UnsafeMutableBufferPointer<Float>
    let parameters: UnsafeMutableBufferPointer<Float>
    let slots: UnsafeMutableBufferPointer<UnsafeMutableBufferPointer<Float>>
    private var isUntouched = true

    init(
        gradient: UnsafeMutableBufferPointer<Float>, parameters: UnsafeMutableBufferPointer<Float>,
        slots: UnsafeMutableBufferPointer<UnsafeMutableBufferPointer<Float>>, _ rates: UpdateRates
    ) {
        (self.gradient, self.parameters, self.slots, self.rates) = (gradient, parameters, slots, rates)
        slotAccess = SlotAccess(first: 0, count: slots.count)
    }

    mutating func beginAccess() -> UnsafeBlockElements {
        isUntouched = false
        return UnsafeBlockElements(
            gradient: gradient, parameters: parameters, output: .init(start: nil, count: 0),
            slots: UnsafeBufferPointer(slots))
    }

    mutating func endAccess(_ elements: UnsafeBlockElements) {}

    mutating func copyParameters() {}

    mutating func scale(by factor: Float) {
        guard !isUntouched else { return }
        for index in gradient.indices { gradient[index] *= factor }
    }

    @_disfavoredOverload mutating func scale(by factor: Double) {
        guard !isUntouched else { return }
        let power = factor == 0 || Float(factor).isNormal ? 1 : factor.magnitude < 1 ? 0x1p100 : 0x1p-100
        scale(by: Float(factor * power))
        scale(by: Float(1 / power))
    }
}
