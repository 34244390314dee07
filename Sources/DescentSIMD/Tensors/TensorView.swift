import DescentCore

/// How one borrowed tensor lies in memory: where, in which type, and how far elements are apart.
///
/// It is what blocks read of memory that is somebody else's, and holds no references; `AlignedMemory` owns its axes.
struct TensorView {
    /// One axis, or several that lie together as if they were one.
    struct Axis: Equatable {
        let count: Int
        /// How many elements lie between neighbours.
        let stride: Int
    }

    let base: UnsafeMutableRawPointer
    let elementType: ElementType
    /// The axes, outermost first; none where elements lie in row-major order without gaps.
    let axes: UnsafeBufferPointer<Axis>

    var isStrided: Bool { !axes.isEmpty }

    /// Whether neighbours in memory are not neighbours along the last axis.
    var isTransposed: Bool { axes.count > 1 && axes[axes.count - 1].stride != 1 }

    /// The part of a tensor that a block with units as columns covers, where it is one matrix in memory; nil elsewhere.
    func matrix(_ region: SIMDBlock.MemoryRegion) -> Matrix? {
        guard axes.count == 2, axes[1].count == region.stride else { return nil }
        return Matrix(
            place: region.start * axes[1].stride, rows: region.segmentCount, columns: region.segmentLength,
            rowStride: axes[0].stride, columnStride: axes[1].stride, start: 0)
    }

    /// The axes of a tensor, with those merged that lie together.
    ///
    /// - Parameters:
    ///   - shape: The tensor's shape.
    ///   - strides: How many elements lie between neighbours along each axis.
    /// - Returns: The axes, outermost first; none for row-major order without gaps.
    static func axes(_ shape: [Int], _ strides: [Int]) -> [Axis] {
        var axes: [Axis] = []
        for (count, stride) in zip(shape, strides) where count != 1 {
            let (reach, overflows) = count.multipliedReportingOverflow(by: stride)
            if let last = axes.last, !overflows, last.stride == reach {
                axes[axes.count - 1] = Axis(count: last.count * count, stride: stride)
            } else {
                axes.append(Axis(count: count, stride: stride))
            }
        }
        return axes.count == 1 && axes[0].stride == 1 || shape.contains(0) ? [] : axes
    }

    /// Calls a closure for each part of a range of elements, in row-major order, that lies along the last one or two axes.
    ///
    /// - Complexity: O(n) in the parts, of which a whole matrix is one.
    func forEachMatrix(in range: Range<Int>, _ body: (Matrix) -> Void) {
        guard let inner = axes.last else {
            return body(
                Matrix(
                    place: range.lowerBound, rows: 1, columns: range.count, rowStride: 0, columnStride: 1, start: 0))
        }
        let outer = axes.dropLast()
        var position = range.lowerBound
        while position < range.upperBound {
            let (row, column) = position.quotientAndRemainder(dividingBy: inner.count)
            var (place, rest) = (column * inner.stride, row)
            for axis in outer.reversed() {
                place += rest % axis.count * axis.stride
                rest /= axis.count
            }
            let columns = min(inner.count - column, range.upperBound - position)
            var rows = 1
            if columns == inner.count, let next = outer.last {
                rows = min((range.upperBound - position) / columns, next.count - row % next.count)
            }
            body(
                Matrix(
                    place: place, rows: rows, columns: columns, rowStride: outer.last?.stride ?? 0,
                    columnStride: inner.stride, start: position - range.lowerBound))
            position += rows * columns
        }
    }

    /// Whole rows of a matrix, or a part of one row.
    struct Matrix {
        /// How many elements lie in front of it in memory, counted from the tensor's first.
        let place: Int
        let rows: Int
        let columns: Int
        /// How many elements lie from one row to the next in memory.
        let rowStride: Int
        let columnStride: Int
        /// How far into the range it begins.
        let start: Int
    }

    /// Copies a range of elements to memory without gaps, as float32.
    ///
    /// - Parameters:
    ///   - range: Positions in row-major order.
    ///   - destination: Room for as many.
    ///   - kernels: Who copies.
    ///   - ahead: How many rows further on those are that will be copied next; 0 if that is not known.
    func gather(
        _ range: Range<Int>, into destination: UnsafeMutablePointer<Float>, _ kernels: Kernels, ahead: Int = 0
    ) {
        guard isStrided else {
            guard elementType != .float32 else {
                destination.update(from: floats + range.lowerBound, count: range.count)
                return
            }
            kernels.widen(words + range.lowerBound, elementType, into: destination, count: range.count)
            return
        }
        forEachMatrix(in: range) { gather($0, into: destination, kernels, ahead: ahead) }
    }

    /// Copies a matrix to memory without gaps, as float32.
    func gather(
        _ matrix: Matrix, into destination: UnsafeMutablePointer<Float>, _ kernels: Kernels, ahead: Int = 0
    ) {
        let target = destination + matrix.start
        if elementType == .float32 {
            kernels.gather(floats + matrix.place, matrix, into: target, ahead: ahead)
        } else {
            kernels.gather(words + matrix.place, elementType, matrix, into: target)
        }
    }

    /// Copies elements without gaps to where a range of the tensor's lies, rounded to its type.
    ///
    /// - Parameters:
    ///   - source: The elements, in row-major order.
    ///   - range: Their positions.
    ///   - kernels: Who copies.
    func scatter(_ source: UnsafePointer<Float>, to range: Range<Int>, _ kernels: Kernels) {
        guard isStrided else {
            guard elementType != .float32 else {
                return (floats + range.lowerBound).update(from: source, count: range.count)
            }
            return kernels.narrow(source, elementType, into: words + range.lowerBound, count: range.count)
        }
        forEachMatrix(in: range) { matrix in
            let origin = source + matrix.start
            if elementType == .float32 {
                kernels.scatter(origin, matrix, to: floats + matrix.place)
            } else {
                kernels.scatter(origin, elementType, matrix, to: words + matrix.place)
            }
        }
    }

    /// A copy of all elements without gaps, in the tensor's type or as float32, for the caller to deallocate.
    func copied(_ count: Int, as type: ElementType) -> UnsafeMutableRawBufferPointer {
        let copy = UnsafeMutableRawBufferPointer.allocate(
            byteCount: count * type.byteCount, alignment: AlignedMemory.alignment)
        guard let start = copy.baseAddress, count > 0 else { return copy }
        if type == .float32 {
            gather(0..<count, into: start.bindMemory(to: Float.self, capacity: count), Kernels(.portable))
        } else {
            let target = start.bindMemory(to: UInt16.self, capacity: count)
            forEachMatrix(in: 0..<count) { matrix in
                matrix.forEachElement { target[matrix.start + $0] = words[matrix.place + $1] }
            }
        }
        return copy
    }

    /// Writes all elements of such a copy back to where they lie.
    func take(_ copy: UnsafeMutableRawBufferPointer, as type: ElementType) {
        let count = copy.count / type.byteCount
        guard let start = copy.baseAddress, count > 0 else { return }
        if type == .float32 {
            scatter(start.assumingMemoryBound(to: Float.self), to: 0..<count, Kernels(.portable))
        } else {
            let origin = start.assumingMemoryBound(to: UInt16.self)
            forEachMatrix(in: 0..<count) { matrix in
                matrix.forEachElement { words[matrix.place + $1] = origin[matrix.start + $0] }
            }
        }
    }

    /// All elements as float32, in row-major order.
    func floats(_ count: Int) -> [Float] {
        [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
            if let start = buffer.baseAddress, count > 0 { gather(0..<count, into: start, Kernels(.portable)) }
            initialized = count
        }
    }

    private var floats: UnsafeMutablePointer<Float> { base.assumingMemoryBound(to: Float.self) }
    private var words: UnsafeMutablePointer<UInt16> { base.assumingMemoryBound(to: UInt16.self) }
}
