import DescentCore

extension UnsafeTensor {
    /// How many elements there are from the first in memory to the last, with the gaps between them.
    var extent: Int { axes.isEmpty ? count : axes.reduce(1) { $0 + ($1.count - 1) * $1.stride } }

    /// Refuses strides that do not fit the shape, or leave the memory that was handed over.
    ///
    /// - Throws: `DescentError` with code `invalidStrides` that names the tensor.
    func requireStridesInside() throws(DescentError) {
        guard let strides, let shape else { return }
        guard strides.count == shape.count, strides.allSatisfy({ $0 >= 0 }) else {
            throw invalidStrides("one number of at least 0 is needed for each axis of its shape \(shape)")
        }
        guard count > 0 else { return }
        var last = 0
        for (length, stride) in zip(shape, strides) {
            let (reach, overflows) = (length - 1).multipliedReportingOverflow(by: stride)
            guard !overflows, reach <= capacity else { return try requireInside(.max) }
            last += reach
        }
        try requireInside(last)
    }

    private func requireInside(_ last: Int) throws(DescentError) {
        guard last < capacity else {
            throw invalidStrides(
                "with its shape \(shape ?? []) they reach beyond the \(capacity) elements that its memory has room for")
        }
    }

    /// Refuses strides with which two elements of a tensor that is to be written share memory.
    ///
    /// - Throws: `DescentError` with code `invalidStrides` that names the tensor.
    func requireElementsApart() throws(DescentError) {
        var reach = 0
        for axis in axes.sorted(by: { $0.stride < $1.stride }) {
            guard axis.stride > reach else {
                throw invalidStrides("with its shape \(shape ?? []) elements share memory, which is to be written")
            }
            reach += (axis.count - 1) * axis.stride
        }
    }

    private func invalidStrides(_ problem: String) -> DescentError {
        DescentError(
            .invalidStrides, parameter: name, "\(name.quotedBriefly) has the strides \(strides ?? []): \(problem).")
    }
}
