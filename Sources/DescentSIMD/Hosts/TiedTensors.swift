import DescentCore

/// Tensors of parameters that have several names, as one tensor each.
extension ParameterLayout {
    /// Takes out the tensors under other names of parameters that are handed over under their own, too.
    ///
    /// - Parameter tensors: What a host hands over, to be read or written, under every name that it knows.
    /// - Returns: One tensor for each parameter.
    /// - Throws: `DescentError` with code `sharedMemory` where two names of one parameter are not the same memory.
    /// - Complexity: O(n) in the number of tensors.
    func withoutTied(_ tensors: [UnsafeTensor]) throws(DescentError) -> [UnsafeTensor] {
        guard !tied.isEmpty else { return tensors }
        var found: [String: UnsafeTensor] = [:]
        var names: Set<String> = []
        var result: [UnsafeTensor] = []
        for tensor in tensors {
            let named = tied[tensor.name].map { tensor.named($0) } ?? tensor
            guard let first = found[named.name] else {
                found[named.name] = named
                names.insert(tensor.name)
                result.append(named)
                continue
            }
            guard !names.contains(tensor.name) else {
                // The same name twice is refused with all else that does not fit.
                result.append(named)
                continue
            }
            names.insert(tensor.name)
            guard first.isSameMemory(as: named) else {
                throw DescentError(
                    .sharedMemory, parameter: tensor.name,
                    "\(tensor.name.quotedBriefly) is tied to \(named.name.quotedBriefly), which lies elsewhere: tied parameters "
                        + "are one memory. Hand over one of them, under either name.")
            }
        }
        return result
    }

    /// Runs a body with gradients in which those of tied parameters have been added up.
    ///
    /// Where two names have the same memory, it is one gradient: that of a variable that is listed twice.
    ///
    /// - Parameters:
    ///   - gradients: What a host hands over, under every name that it knows.
    ///   - body: What to do with one gradient for each parameter; sums are in memory of their own.
    /// - Returns: What the body returns.
    /// - Throws: What the body throws, and `DescentError` for gradients of tied parameters that differ in size.
    /// - Complexity: O(n) in the number of tensors, and in the elements of tied parameters.
    func withTiedSummed<Result>(
        _ gradients: [UnsafeTensor], _ body: ([UnsafeTensor]) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        guard !tied.isEmpty else { return try body(gradients) }
        var sums: [UnsafeMutableBufferPointer<Float>] = []
        defer { for sum in sums { sum.deallocate() } }
        let members = Dictionary(grouping: gradients) { tied[$0.name] ?? $0.name }
        var result: [UnsafeTensor] = []
        var isDone: Set<String> = []
        for gradient in gradients {
            let name = tied[gradient.name] ?? gradient.name
            guard let all = members[name], all.count > 1, Set(all.map(\.name)).count == all.count else {
                result.append(gradient.named(name))
                continue
            }
            guard isDone.insert(name).inserted, let index = index(named: name) else { continue }
            var own: [UnsafeTensor] = []
            // In an order that is the same in every step, whatever that of the host's list.
            for tensor in all.sorted(by: { ($0.name == name ? "" : $0.name) < ($1.name == name ? "" : $1.name) }) {
                try tensor.requireFit(self[index])
                if !own.contains(where: { $0.isSameMemory(as: tensor) }) { own.append(tensor) }
            }
            guard own.count > 1 else {
                result.append(own[0].named(name))
                continue
            }
            let sum = UnsafeMutableBufferPointer<Float>.allocate(capacity: self[index].count)
            sums.append(sum)
            sum.fill(withSumOf: own)
            result.append(UnsafeTensor(name, shape: self[index].shape, sum))
        }
        return try body(result)
    }

    /// Refuses several gradients of one parameter, where there is no memory for their sum.
    func requireOneEach(_ gradients: [UnsafeTensor]) throws(DescentError) {
        guard !tied.isEmpty else { return }
        var found: [String: UnsafeTensor] = [:]
        for gradient in gradients {
            let name = tied[gradient.name] ?? gradient.name
            guard let first = found.updateValue(gradient, forKey: name), first.name != gradient.name,
                !first.isSameMemory(as: gradient)
            else { continue }
            throw DescentError(
                .sharedMemory, parameter: gradient.name,
                "\(gradient.name.quotedBriefly) is tied to \(first.name.quotedBriefly), and there is a gradient of each: their sum is not "
                    + "in either. Hand over other memory for the results (into:).")
        }
    }
}

extension UnsafeTensor {
    /// Whether another tensor has the same elements in the same memory.
    fileprivate func isSameMemory(as other: UnsafeTensor) -> Bool {
        address == other.address && axes == other.axes && elementType == other.elementType && count == other.count
    }

    /// Adds all elements, in row-major order, to a sum, or writes them there.
    fileprivate func addElements(to sum: UnsafeMutableBufferPointer<Float>, replacing: Bool) {
        guard let address, let start = sum.baseAddress, count > 0 else { return }
        let owned = UnsafeMutableBufferPointer<TensorView.Axis>.allocate(capacity: axes.count)
        _ = owned.initialize(from: axes)
        defer { owned.deallocate() }
        let view = TensorView(base: address, elementType: elementType, axes: UnsafeBufferPointer(owned))
        guard !replacing else { return view.gather(0..<count, into: start, Kernels(.preferred)) }
        let elements = view.floats(count)
        for index in 0..<count { sum[index] += elements[index] }
    }
}

extension UnsafeMutableBufferPointer<Float> {
    fileprivate func fill(withSumOf tensors: [UnsafeTensor]) {
        for (index, tensor) in tensors.enumerated() { tensor.addElements(to: self, replacing: index == 0) }
    }
}
