// The plain meaning of every block operation: one loop over the elements, in the order in which they lie.

extension GradientBlock {
    public var tensorCount: Int { 1 }

    public mutating func scale(byEach factors: UnsafePointer<Double>) { scale(by: factors[0]) }

    public mutating func measureNorms(_ norm: Norm, into norms: UnsafeMutablePointer<Double>) {
        norms[0] = self.norm(norm)
    }

    public mutating func scale(by factor: Float) {
        withElements { elements in
            for index in elements.indices { elements[index] *= factor }
        }
    }

    @_disfavoredOverload public mutating func scale(by factor: Double) {
        let rounded = Float(factor)
        guard factor != 0, factor.isFinite, !rounded.isNormal else { return scale(by: rounded) }
        // Beyond Float's normal range: in two steps, of which the second is a power of two and loses nothing.
        let power = factor.magnitude < 1 ? 0x1p100 : 0x1p-100
        scale(by: Float(factor * power))
        withUnsafeElements { _ in }
        scale(by: Float(1 / power))
    }

    public mutating func subtractRowMeans() {
        guard rank > 1 else { return }
        let (rows, columns) = (rowCount, columnCount)
        withElements { elements in
            for row in 0..<rows {
                let indices = row * columns..<(row + 1) * columns
                var sum = 0.0
                for index in indices { sum += Double(elements[index]) }
                let mean = Float(sum / Double(columns))
                for index in indices { elements[index] -= mean }
            }
        }
    }

    public mutating func addElements(to histogram: inout MagnitudeHistogram) {
        withElements { elements in
            for index in elements.indices { histogram.add(elements[index]) }
        }
    }

    public mutating func clamp(to range: ClosedRange<Float>) {
        withElements { elements in
            for index in elements.indices {
                if elements[index] < range.lowerBound { elements[index] = range.lowerBound }
                if elements[index] > range.upperBound { elements[index] = range.upperBound }
            }
        }
    }

    public mutating func norm(_ norm: Norm) -> Double {
        withElements { elements in
            var combiner = Norm.Combiner(norm)
            for index in elements.indices { combiner.add(Double(elements[index].magnitude)) }
            return combiner.value
        }
    }

    public mutating func parameterNorm(_ norm: Norm) -> Double {
        withUnsafeElements { memory in
            var combiner = Norm.Combiner(norm)
            for parameter in memory.parameters { combiner.add(Double(parameter.magnitude)) }
            return combiner.value
        }
    }

    public mutating func nonFiniteCount() -> Int {
        withElements { elements in
            var count = 0
            for index in elements.indices where !elements[index].isFinite { count += 1 }
            return count
        }
    }

    public mutating func count(below limit: Float) -> Int {
        withElements { elements in
            var count = 0
            for index in elements.indices where elements[index].magnitude < limit { count += 1 }
            return count
        }
    }

    public mutating func zeroNonFinite() {
        withElements { elements in
            for index in elements.indices where !elements[index].isFinite { elements[index] = 0 }
        }
    }

    public mutating func addNormalNoise(_ noise: NormalNoise) {
        let first = firstRow * columnCount
        withElements { noise.add(to: &$0, from: first) }
    }

    public mutating func clipRows(factor: Float, minimumNorm: Float, epsilon: Float) {
        let (rows, columns) = (rowCount, columnCount)
        withElements { (elements: inout MutableSpan<Float>, parameters: Span<Float>) in
            for row in 0..<rows {
                let indices = row * columns..<(row + 1) * columns
                var (ofGradient, ofParameter) = (Norm.Combiner(.l2), Norm.Combiner(.l2))
                for index in indices {
                    ofGradient.add(Double(elements[index].magnitude))
                    ofParameter.add(Double(parameters[index].magnitude))
                }
                let limit = Double(factor) * max(ofParameter.value, Double(minimumNorm))
                guard ofGradient.value >= limit else { continue }
                let scale = Float(limit / max(ofGradient.value, Double(epsilon)))
                for index in indices { elements[index] *= scale }
            }
        }
    }

    public mutating func accumulate(onto sum: Int?, into destination: Int?, factor: Float) {
        let access = slotAccess
        defer { slotAccess = access }
        withElements { elements in
            for index in elements.indices { elements[index] = factor * elements[index] }
        }
        if let sum {
            slotAccess = SlotAccess(first: sum, count: 1, isKept: false)
            withElementsAndSlot { elements, slot in
                for index in elements.indices { elements[index] = slot[index] + elements[index] }
            }
        }
        if let destination {
            slotAccess = SlotAccess(first: destination, count: 1)
            withElementsAndSlot { elements, slot in
                for index in elements.indices { slot[index] = elements[index] }
            }
        }
    }

    public mutating func isFinite() -> Bool { nonFiniteCount() == 0 }

    public mutating func clear() {
        withElements { elements in
            for index in elements.indices { elements[index] = 0 }
        }
    }

    public mutating func store() {
        withUnsafeElements { memory in
            for index in memory.gradient.indices { memory.output[index] = memory.gradient[index] }
        }
    }

    public mutating func load(slot: Int) {
        let access = slotAccess
        slotAccess = SlotAccess(first: slot, count: 1, isKept: false)
        withElementsAndSlot { elements, slot in
            for index in elements.indices { elements[index] = slot[index] }
        }
        slotAccess = access
    }

    public mutating func rememberGradient() {}

    public mutating func agreeingCount() -> Int {
        withUpdateAndGradient { update, gradient in
            var count = 0
            for index in update.indices where agree(update[index], gradient[index]) { count += 1 }
            return count
        }
    }

    public mutating func scaleAgreeing(by factor: Float) {
        withUpdateAndGradient { update, gradient in
            for index in update.indices { update[index] *= agree(update[index], gradient[index]) ? factor : 0 }
        }
    }
}

extension UpdateBlock {
    public mutating func parametersAreFinite(ofTensor tensor: Int) -> Bool { parametersAreFinite() }

    public mutating func parametersAreFinite() -> Bool {
        withElements { (_: inout MutableSpan<Float>, parameters: Span<Float>) in
            parameters.indices.allSatisfy { parameters[$0].isFinite }
        }
    }

    public mutating func rememberParameters() {}

    public mutating func updateNorm() -> Double { .nan }

    public mutating func decayedNorm(_ decay: Float) -> Double {
        if decay == 0 { return norm(.l2) }
        return withUnsafeElements { memory in
            var combiner = Norm.Combiner(.l2)
            for index in memory.gradient.indices {
                combiner.add(Double((memory.gradient[index] + decay * memory.parameters[index]).magnitude))
            }
            return combiner.value
        }
    }

    public mutating func blendParameters(into slot: Int, weight: Float, replacing: Bool) {
        let access = slotAccess
        guard access.declares(slots: slot + 1) else { return }
        slotAccess = SlotAccess(first: access.first + slot, count: 1)
        updateEach { _, parameter, slot in
            slot = weight == 1 ? parameter : slot + weight * (parameter - slot)
            if replacing { parameter = slot }
        }
        slotAccess = access
    }
}

/// Whether the product of two numbers is above 0, even if Float cannot hold it.
private func agree(_ update: Float, _ gradient: Float) -> Bool { Double(update) * Double(gradient) > 0 }
